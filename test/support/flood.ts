/** Floods an agent from another process, as strangers do. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { FloodOrder, FloodReport } from './flooder-process.ts'
import type { Said } from './operator.ts'

/** How. */
export interface FloodOptions extends Pick<FloodOrder, 'network' | 'address' | 'kinds' | 'perSecond' | 'ms'> {
  /** A command that the agent has. */
  readonly said: Said
}

/** Floods an agent for so long; whoever is cut off comes back as somebody else. */
export async function flood({ said, ...options }: FloodOptions): Promise<FloodReport> {
  const order: FloodOrder = { ...options, said: { id: said.id, envelope: Buffer.from(said.envelope).toString('hex') } }
  const child = fork(join(import.meta.dirname, 'flooder-process.ts'), { stdio: 'inherit' })
  const exited = once(child, 'exit')
  child.send(order)
  const [report] = (await Promise.race([once(child, 'message'), exited])) as [FloodReport | number | null]
  await exited
  if (typeof report !== 'object' || report === null) throw new Error('the flooder ended early')
  return report
}

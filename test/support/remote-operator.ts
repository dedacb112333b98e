/** Gives orders to an operator that runs as a process elsewhere. */
import { createInterface } from 'node:readline'
import { resolve } from 'node:path'
import type { Running } from './cli.ts'

/** An operation as text. */
export type TextOperation =
  | { readonly op: 'pin' | 'unpin'; readonly cid: string }
  | { readonly op: 'update'; readonly from: string; readonly to: string }

/** What an operator can be told; answers are in `operator-process.ts`. */
export type OperatorOrder =
  | { readonly do: 'link'; readonly address: string }
  | { readonly do: 'provide'; readonly texts: readonly string[] }
  | { readonly do: 'say'; readonly key: number; readonly operations: readonly TextOperation[]; readonly origins: readonly string[] }
  /** All that was said since the last time. */
  | { readonly do: 'accepted'; readonly nodes: readonly string[]; readonly ms: number }
  | { readonly do: 'sets'; readonly target: string }

/** The far end. */
export interface RemoteOperator {
  readonly origin: string
  /** Serves a block for each text. */
  provide(texts: readonly string[]): Promise<void>
  /** Links to a node; its id. */
  link(address: string): Promise<string>
  /** Signs with a key, counted from 0, and publishes; the envelope. */
  say(key: number, operations: readonly TextOperation[], origins: readonly string[]): Promise<Uint8Array>
  /** All that was said since the last time is taken by these nodes. */
  accepted(nodes: readonly string[], ms: number): Promise<void>
  /** The command sets of a node, a line each: author, pinset, count, root. */
  sets(target: string): Promise<readonly string[]>
}

/** The program, for {@link followOperator}. */
export const OPERATOR_PROCESS = resolve(import.meta.dirname, 'operator-process.ts')

/** Takes over an operator that has just been started with its standard input open. */
export async function followOperator(running: Running): Promise<RemoteOperator> {
  const { child } = running
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let last: Promise<unknown> = Promise.resolve()
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await answers.next()
    if (done === true) throw new Error(`the operator ended: ${(await running.ended).stderr}`)
    return JSON.parse(value) as Record<string, unknown>
  }
  const order = (what: OperatorOrder): Promise<Record<string, unknown>> => {
    const answer = last.then(async () => {
      child.stdin.write(`${JSON.stringify(what)}\n`)
      const answered = await next()
      if (typeof answered['error'] === 'string') throw new Error(`${what.do}: ${answered['error']}`)
      return answered
    })
    last = answer.catch(() => undefined)
    return answer
  }
  const { origin } = await next()
  return {
    origin: origin as string,
    provide: async (texts) => void (await order({ do: 'provide', texts })),
    link: async (address) => (await order({ do: 'link', address }))['node'] as string,
    say: async (key, operations, origins) =>
      new Uint8Array(Buffer.from((await order({ do: 'say', key, operations, origins }))['envelope'] as string, 'base64')),
    accepted: async (nodes, ms) => void (await order({ do: 'accepted', nodes, ms })),
    sets: async (target) => (await order({ do: 'sets', target }))['sets'] as string[]
  }
}

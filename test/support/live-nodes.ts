/** Real agents in this process, linked over loopback, each with a clock of its own. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostSigner, loadHostKey } from '../../src/identity/host-key.ts'
import { addKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { createNode, type PinsubNode } from '../../src/node/node.ts'
import type { Clock } from '../../src/protocol/clock.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { keepLog, type KeptLog } from './log.ts'

/** A running agent. */
export interface LiveNode {
  readonly agent: PinsubNode
  readonly id: string
  /** Multiaddr with /p2p. */
  readonly address: string
  readonly log: KeptLog
}

/** Starts one agent a clock, all of which know each other and obey the key lines; the stack ends them. */
export async function startLiveNodes(
  stack: AsyncDisposableStack,
  clocks: readonly Clock[],
  options: { readonly network: string; readonly authorize: readonly string[] }
): Promise<LiveNode[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-live-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const homes = clocks.map((_, i) => join(dir, String(i)))
  await Promise.all(homes.map((home) => mkdir(home)))
  const ids = await Promise.all(homes.map(async (home) => nodeIdOf(hostSigner(await loadHostKey(join(home, 'host_key'))).blob)))
  const nodes: LiveNode[] = []
  for (const [i, clock] of clocks.entries()) {
    const [home, id] = [homes[i], ids[i]] as [string, string]
    const log = keepLog()
    await addKnownNodes(join(home, 'known_nodes'), new Map(ids.filter((other) => other !== id).map((other) => [other, ''])))
    const agent = await createNode(
      {
        ...options,
        version: 'pinsub/0.1.0',
        files: {
          hostKey: join(home, 'host_key'),
          stateDb: join(home, 'state.db'),
          lock: join(home, 'lock'),
          authorizedKeys: join(home, 'authorized_keys'),
          knownNodes: join(home, 'known_nodes')
        },
        listen: ['/ip4/127.0.0.1/tcp/0'],
        announce: [],
        bootstrap: nodes.map(({ address }) => address),
        mdns: false,
        remoteKeys: true,
        backend: { kind: 'helia', dir: home },
        tags: {}
      },
      { log, clock }
    )
    stack.use(agent)
    await agent.start()
    nodes.push({ agent, id, address: agent.addresses()[0] as string, log })
  }
  return nodes
}

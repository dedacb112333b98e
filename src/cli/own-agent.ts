/** The agent of this home, as who asks from the same home finds it. */
import { readPrivateKey } from '../identity/key-file.ts'
import { nodeIdOf } from '../protocol/ssh-key.ts'
import type { Context } from './context.ts'

/** Where an agent listens unless told otherwise: every address of the machine. */
export const LISTEN: readonly string[] = ['/ip4/0.0.0.0/tcp/4101', '/ip6/::/tcp/4101']

/** Multiaddrs, with its id, at which the agent of this home answers by its settings; none where no agent ever ran here, or any port will do. */
export async function ownAgent({ config, home }: Pick<Context, 'config' | 'home'>): Promise<readonly string[]> {
  const key = await readPrivateKey(home.hostKey, '').catch(() => undefined)
  if (key === undefined) return []
  const fixed = (config.listen ?? LISTEN).filter((address) => !address.endsWith('/tcp/0'))
  return fixed.map((address) => `${onThisMachine(address)}/p2p/${nodeIdOf(key.blob)}`)
}

function onThisMachine(address: string): string {
  return address.replace(/^\/ip4\/0\.0\.0\.0\//, '/ip4/127.0.0.1/').replace(/^\/ip6\/::\//, '/ip6/::1/')
}

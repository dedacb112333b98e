import type { PrivateKey } from '@libp2p/interface'
import { sealEnvelope, type Envelope, type Verified } from '../../src/protocol/envelope.ts'
import { encodePresence, type Presence } from '../../src/protocol/presence.ts'
import { createSeedSigner, type Signer } from '../../src/protocol/signature.ts'

/** A signer with a host's own key. */
export function signerOf(key: PrivateKey): Signer {
  return createSeedSigner(key.raw.slice(0, 32))
}

export const described = (): Omit<Presence, 'node' | 'sequence' | 'time'> => ({
  addresses: [],
  tags: {},
  queue: 0,
  version: 'pinsub/0.1.0',
  backend: { kind: 'helia', up: true, addresses: [] }
})

/** A signed presence; what is not said is the least there can be. */
export function presenceOf(signer: Signer, presence: Partial<Presence> = {}, network = 'test-net'): Promise<Verified<Envelope>> {
  return sealEnvelope('presence', encodePresence(network, { ...described(), sequence: 1, time: 0, ...presence }), signer)
}

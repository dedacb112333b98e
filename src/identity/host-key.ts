/** The libp2p key of an agent or of one run of a sender. */
import { dirname } from 'node:path'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { createSeedSigner, SEED_BYTES, type Signer } from '../protocol/signature.ts'
import { IdentityError } from './errors.ts'
import { makeFolder } from './folders.ts'
import { createPrivateKey, readPrivateKey } from './key-file.ts'

/** The agent's libp2p key in `path` (OpenSSH format, 0600), made on first use with its folder. Throws {@link IdentityError}. */
export async function loadHostKey(path: string): Promise<Ed25519PrivateKey> {
  const read = () => readPrivateKey(path, 'restore it from a backup')
  const { seed } = await read().catch(async (err: unknown) => {
    if (!(err instanceof IdentityError) || err.code !== 'missing') throw err
    await makeFolder(dirname(path))
    return createPrivateKey(path, 'pinsub node').catch((failed: IdentityError) => {
      if (failed.code === 'exists') return read()
      throw failed
    })
  })
  return generateKeyPairFromSeed('Ed25519', seed)
}

/** A libp2p key for one run: two processes with one peer id do not hear each other, so every sender takes a fresh one. */
export function freshHostKey(): Promise<Ed25519PrivateKey> {
  return generateKeyPair('Ed25519')
}

/** Signs acks and presence with the libp2p key, so that the peer id alone verifies them. */
export function hostSigner(privateKey: Ed25519PrivateKey): Signer {
  return createSeedSigner(privateKey.raw.subarray(0, SEED_BYTES))
}

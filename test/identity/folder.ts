import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { publicKeyOfSeed } from '../../src/protocol/signature.ts'
import { authorOf, formatPublicKey, keyBlob, type Author } from '../../src/protocol/ssh-key.ts'

/** An empty folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-identity-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A public key line made from a number. */
export function line(n: number, comment = `key-${n}`): string {
  return formatPublicKey(blob(n), comment)
}

/** The author of {@link line}. */
export function author(n: number): Author {
  return authorOf(blob(n))
}

function blob(n: number): Uint8Array {
  return keyBlob(publicKeyOfSeed(new Uint8Array(32).fill(n)))
}

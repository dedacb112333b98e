/** What this machine does in a second, so that figures of two runs, or of two machines, can be compared. */
import { createHash } from 'node:crypto'
import { createSeedSigner, verifySignature } from '../src/protocol/signature.ts'
import type { Figure } from './support/figure.ts'

const RUN_MS = 1_000

/** Runs it. */
export async function machine(): Promise<Figure[]> {
  const signer = createSeedSigner(createHash('sha256').update('bench').digest())
  const message = new Uint8Array(250)
  const signature = await signer.sign('pinsub', message)
  const begun = performance.now()
  let count = 0
  while (performance.now() - begun < RUN_MS) {
    for (let i = 0; i < 100; i++) verifySignature(signer.blob, 'pinsub', message, signature)
    count += 100
  }
  return [{ name: 'this machine: signatures verified, one core', value: count / (RUN_MS / 1_000), unit: '1/s' }]
}

/** What this machine does in a second, so that figures of two runs, or of two machines, can be compared. */
import { createHash } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  return [
    { name: 'this machine: signatures verified, one core', value: count / (RUN_MS / 1_000), unit: '1/s' },
    { name: 'this machine: small files written and synced, one at a time', value: await syncedFiles(), unit: '1/s' }
  ]
}

async function syncedFiles(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-bench-'))
  try {
    const begun = performance.now()
    let count = 0
    while (performance.now() - begun < RUN_MS) {
      await using file = await open(join(dir, String(count++)), 'w')
      await file.write(new Uint8Array(200))
      await file.sync()
    }
    return count / (RUN_MS / 1_000)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Writes test/vectors/*.json from fixed seeds: `node scripts/vectors.ts`. A test holds the committed files against it. */
import { writeFileSync } from 'node:fs'
import { adminVectors } from '../test/vectors/source/admin.ts'
import { brokenVectors } from '../test/vectors/source/broken.ts'
import { keyVectors, signatureVectors } from '../test/vectors/source/keys.ts'
import { negentropyVectors } from '../test/vectors/source/negentropy.ts'
import { orderVectors, wishVectors } from '../test/vectors/source/order.ts'
import { queryVectors } from '../test/vectors/source/query.ts'
import { syncVectors } from '../test/vectors/source/sync.ts'
import { ackVectors, commandVectors, presenceVectors } from '../test/vectors/source/valid.ts'

/** Where the vectors are kept. */
export const VECTORS = new URL('../test/vectors/', import.meta.url)

/** File names and what stands in them. */
export async function vectorFiles(): Promise<ReadonlyMap<string, string>> {
  const files: Record<string, unknown[]> = {
    'keys.json': keyVectors(),
    'signatures.json': await signatureVectors(),
    'commands.json': await commandVectors(),
    'acks.json': await ackVectors(),
    'presences.json': await presenceVectors(),
    'broken.json': await brokenVectors(),
    'queries.json': queryVectors(),
    'sync.json': negentropyVectors(),
    'sync-messages.json': await syncVectors(),
    'order.json': orderVectors(),
    'wish.json': wishVectors(),
    'admin.json': adminVectors()
  }
  return new Map(Object.entries(files).map(([name, vectors]) => [name, `${JSON.stringify(vectors, undefined, 2)}\n`]))
}

if (import.meta.main) {
  for (const [name, text] of await vectorFiles()) writeFileSync(new URL(name, VECTORS), text)
}

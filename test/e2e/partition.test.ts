/** Five agents in network namespaces, split and healed: all end with the same sets and the same pins. */
import { expect, test } from 'vitest'
import { whyNoNamespaces } from '../support/namespaces.ts'
import { partition } from './partition.ts'

const skipped = whyNoNamespaces()
if (skipped !== undefined) console.warn(skipped)

const SPLITS = [
  { cut: 'visible', text: 'whose links go down' },
  { cut: 'silent', text: 'whose packets vanish while all links are up' }
] as const

test.for(SPLITS)(`two of five $text${skipped === undefined ? '' : ` (${skipped})`}`, { timeout: 400_000 }, async ({ cut }, { skip }) => {
  skip(skipped !== undefined)
  const { split, equal, settled } = await partition({ cut, lasts: 'noticed' })
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
  console.log(`${cut} split of ${seconds(split)}: equal sets ${seconds(equal)} after the heal, all pinned ${seconds(settled)} after it`)
  expect(equal).toBeGreaterThan(0)
})

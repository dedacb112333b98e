/**
 * The long proofs, against the built bundle: kills, splits, absences and floods, far more and larger than in the tests.
 *
 *     npm run soak -- [--rounds 200] [--ground helia|kubo|ipfs]… [--splits 5] [--operations 10000] [--pins 5200] [--flood 20] [--seed N]
 *
 * A 0 leaves a part out. Ends with 1 at the first fault, whose seed makes the same choices again.
 */
import { parseArgs } from 'node:util'
import { missed, newcomer } from '../test/e2e/absence.ts'
import type { GroundName } from '../test/e2e/crash/grounds.ts'
import { crash } from '../test/e2e/crash/rounds.ts'
import { flooded, FLOODS } from '../test/e2e/flood.ts'
import { partition } from '../test/e2e/partition.ts'
import { findIpfs, NO_IPFS } from '../test/support/kubo-daemon.ts'
import { whyNoNamespaces } from '../test/support/namespaces.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    ground: { type: 'string', multiple: true },
    splits: { type: 'string', default: '5' },
    operations: { type: 'string', default: '10000' },
    pins: { type: 'string', default: '5200' },
    flood: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) }
  }
})
const [rounds, splits, operations, pins, flood, seed] = (['rounds', 'splits', 'operations', 'pins', 'flood', 'seed'] as const).map(
  (name) => {
    const number = Number(values[name])
    if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} must be a whole number`)
    return number
  }
) as [number, number, number, number, number, number]
const grounds = (values.ground ?? ['helia', 'kubo', ...(findIpfs() === undefined ? [] : ['ipfs'])]) as GroundName[]

const say = (line: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`)
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

if (pins > 0) {
  const { known, held } = await newcomer(pins)
  say(`a newcomer to ${pins} pins knew them after ${seconds(known)} and held them after ${seconds(held)}`)
}
if (operations > 0) {
  const { known, held } = await missed(operations, seed)
  say(`one that was off for ${operations} operations (seed ${seed}) knew them after ${seconds(known)} and was done after ${seconds(held)}`)
}
if (flood > 0) {
  for (const [name, kinds] of Object.entries(FLOODS)) {
    const { sent, cuts, ordinary } = await flooded(kinds, flood * 1_000)
    say(`a flood of ${name}: ${sent} in ${flood} s, cut off ${cuts} times; all ${ordinary} ordinary commands arrived`)
  }
}
const skipped = splits > 0 ? whyNoNamespaces() : undefined
if (skipped !== undefined) say(skipped)
else {
  for (const cut of ['visible', 'silent'] as const) {
    for (const lasts of ['noticed', 2_000] as const) {
      for (let i = 0; i < splits; i++) {
        const { split, equal, settled } = await partition({ cut, lasts })
        say(`${cut} split of ${seconds(split)}: equal sets ${seconds(equal)} after the heal, all pinned ${seconds(settled)} after it`)
      }
    }
  }
}
if (rounds > 0) {
  if (findIpfs() === undefined) say(NO_IPFS)
  for (const ground of grounds) {
    say(`kill -9, ${rounds} times, with ${ground}, seed ${seed}`)
    const summary = await crash({ ground, rounds, seed, log: say })
    say(`passed: ${JSON.stringify(summary)}`)
  }
}

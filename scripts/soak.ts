/** The long proofs, against the built bundle: `npm run soak -- [--rounds N] [--ground helia|kubo|ipfs]… [--seed N]`. */
import { parseArgs } from 'node:util'
import { crash } from '../test/e2e/crash/rounds.ts'
import type { GroundName } from '../test/e2e/crash/grounds.ts'
import { findIpfs } from '../test/support/kubo-daemon.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    ground: { type: 'string', multiple: true, default: ['helia', 'kubo', ...(findIpfs() === undefined ? [] : ['ipfs'])] },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) }
  }
})

for (const ground of values.ground as GroundName[]) {
  const began = Date.now()
  console.log(`${values.rounds} times kill -9, pins in ${ground}, seed ${values.seed}`)
  const summary = await crash({ ground, rounds: Number(values.rounds), seed: Number(values.seed), log: console.log })
  console.log(`passed in ${Math.round((Date.now() - began) / 1_000)} s:`, summary)
}

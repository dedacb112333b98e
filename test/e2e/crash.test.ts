/** An agent as it is shipped, killed at random moments while commands come: nothing that was acknowledged is lost, and nothing is left over. */
import { expect, test } from 'vitest'
import { findIpfs, NO_IPFS } from '../support/kubo-daemon.ts'
import { crash } from './crash/rounds.ts'

const ROUNDS = 15

const hasIpfs = findIpfs() !== undefined
if (!hasIpfs) console.warn(NO_IPFS)

const grounds = [
  { ground: 'helia', text: 'the built-in storage', skipped: false },
  { ground: 'kubo', text: "our server of Kubo's RPC", skipped: false },
  { ground: 'ipfs', text: hasIpfs ? 'a real Kubo' : NO_IPFS, skipped: !hasIpfs }
] as const

test.for(grounds)(`killed ${ROUNDS} times, with $text`, { timeout: 240_000 }, async ({ ground, skipped }, { skip }) => {
  skip(skipped)
  const seed = Date.now() % 1_000_000
  console.log(`seed ${seed}`)
  const summary = await crash({ ground, rounds: ROUNDS, seed })
  console.log(summary)
  expect(summary.acks).toBeGreaterThan(ROUNDS)
})

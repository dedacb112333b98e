/** The vectors of reconciliation, in both roles. That they are what the generator gives is tested with the others. */
import { readFileSync } from 'node:fs'
import { fromString } from 'uint8arrays/from-string'
import { expect, test } from 'vitest'
import { VECTORS } from '../../../scripts/vectors.ts'
import { createItemSet } from '../../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../../src/protocol/sync/negentropy.ts'
import { hex } from '../../vectors/source/make.ts'
import { setOf } from '../../vectors/source/negentropy.ts'

interface TalkVector {
  readonly name: string
  readonly comment: string
  readonly ours: readonly string[]
  readonly theirs: readonly string[]
  readonly sums: readonly { readonly root: string; readonly fingerprint: string }[]
  /** Questions and answers in turn. */
  readonly messages: readonly string[]
  readonly need: readonly string[]
  readonly have: readonly string[]
}

interface BrokenVector {
  readonly name: string
  readonly code: string
  readonly message: string
}

const all = JSON.parse(readFileSync(new URL('sync.json', VECTORS), 'utf8')) as readonly (TalkVector | BrokenVector)[]
const talks = all.filter((vector) => 'messages' in vector)
const broken = all.filter((vector) => 'code' in vector)

test.each(talks)('$name: $comment', ({ ours, theirs, sums, messages, need, have }) => {
  const [one, other] = [setOf(ours), setOf(theirs)]
  expect([one, other].map((set) => ({ root: hex(set.root()), fingerprint: hex(set.fingerprint(0, set.size)) }))).toEqual(sums)
  const initiator = createInitiator(one)
  let question: Uint8Array | undefined = initiator.start()
  for (let i = 0; i < messages.length; i += 2) {
    const answer = fromString(messages[i + 1] as string, 'hex')
    expect(question && hex(question)).toBe(messages[i])
    expect(hex(respond(other, question as Uint8Array))).toBe(messages[i + 1])
    question = initiator.next(answer)
  }
  expect(question).toBeUndefined()
  expect([initiator.need.map(hex), initiator.have.map(hex)]).toEqual([need, have])
})

test.each(broken)('$name is refused', ({ code, message }) => {
  const bytes = fromString(message, 'hex')
  const initiator = createInitiator(createItemSet())
  initiator.start()
  expect(() => respond(createItemSet(), bytes)).toThrow(expect.objectContaining({ code }))
  expect(() => initiator.next(bytes)).toThrow(expect.objectContaining({ code }))
})

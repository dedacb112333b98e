/** What admins say, at random: what must hold of the outcome whatever they say, and in whatever order it comes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideKeys, type AdminCommand, type AdminOutcome, type FiledKeys } from '../../src/protocol/admin.ts'
import { authorizeOperation, type AdminOperation } from '../../src/protocol/admin-operations.ts'
import { isWithin, type Grant } from '../../src/protocol/grants.ts'
import { authorOf, formatPublicKey, keyBlob, nodeIdOf, type Author } from '../../src/protocol/ssh-key.ts'
import type { Standing } from '../../src/protocol/wish.ts'

const BLOBS = Array.from({ length: 7 }, (_, i) => keyBlob(new Uint8Array(32).fill(i + 1)))
const AUTHORS = BLOBS.map(authorOf)
const OPTIONS = ['', 'admin ', 'admin,pinset="site" ', 'pinset="site,blog" ', 'admin,ops="pin" ']

const index = fc.nat({ max: BLOBS.length - 1 })
const commandId = (n: number): string => n.toString(16).padStart(64, '0')

const operation: fc.Arbitrary<AdminOperation | undefined> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ key: index, options: fc.constantFrom(...OPTIONS), succeeds: fc.boolean() })
      .map(({ key, options, succeeds }) =>
        authorizeOperation(`${succeeds ? '' : options}${formatPublicKey(BLOBS[key] as Uint8Array)}`, { succeeds })
      )
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ key: index, keeps: fc.array(fc.nat({ max: 11 }), { maxLength: 6 }) })
      .map(({ key, keeps }) => ({ op: 'close', author: AUTHORS[key] as Author, keeps: keeps.map(commandId) }) as const)
  },
  { weight: 2, arbitrary: index.map((key) => ({ op: 'revoke', author: AUTHORS[key] as Author }) as const) },
  { weight: 1, arbitrary: index.map((key) => ({ op: 'trust', node: nodeIdOf(BLOBS[key] as Uint8Array) }) as const) },
  { weight: 1, arbitrary: fc.constant(undefined) }
)

const commands: fc.Arbitrary<readonly AdminCommand[]> = fc
  .array(
    fc.record({
      by: index,
      ms: fc.nat({ max: 9 }),
      acceptedAt: fc.nat({ max: 20 }),
      operations: fc.array(operation, { minLength: 1, maxLength: 3 })
    }),
    {
      maxLength: 12
    }
  )
  .map((all) =>
    all.map(({ by, ms, ...rest }, i) => ({ id: commandId(i), author: AUTHORS[by] as Author, time: { ms, counter: 0 }, ...rest }))
  )

/** Keys of a file: the first ones are in it, some of them closed or revoked. */
const file: fc.Arbitrary<FiledKeys> = fc
  .array(fc.record({ admin: fc.boolean(), pinset: fc.boolean(), lot: fc.constantFrom('in', 'in', 'in', 'gone', 'revoked') }), {
    maxLength: 5
  })
  .map((lines) => {
    const entries = lines.map(({ admin, pinset, lot }, i): [Author, Standing] => {
      const grant: Grant = {
        author: AUTHORS[i] as Author,
        comment: '',
        rights: ['pin', 'unpin'],
        admin,
        ...(pinset ? { pinsets: ['site'] } : {})
      }
      return [grant.author, { grant, voided: lot === 'revoked', ...(lot === 'in' ? {} : { closedAt: 10 }) }]
    })
    const inFile = entries.filter(([, { closedAt }]) => closedAt === undefined)
    return {
      order: inFile.map(([author]) => author),
      standings: new Map(entries),
      revoked: new Set(entries.flatMap(([author, { voided }]) => (voided ? [author] : [])))
    }
  })

/** An outcome as plain data. */
const plain = ({ keys, nodes, states }: AdminOutcome): unknown => [
  new Map([...keys].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  nodes,
  states
]
const standingsOf = ({ keys }: AdminOutcome, authors: readonly Author[]): unknown => authors.map((author) => keys.get(author)?.standing)

const check = (property: (filed: FiledKeys, said: readonly AdminCommand[]) => void): void =>
  fc.assert(fc.property(file, commands, property), { numRuns: 2_000 })

describe('whatever admins say', () => {
  test('the order in which it comes changes nothing', () => {
    const shuffles = fc.infiniteStream(fc.nat())
    fc.assert(
      fc.property(file, commands, shuffles, (filed, said, numbers) => {
        const mixed = said.map((one) => [numbers.next().value as number, one] as const).toSorted(([a], [b]) => a - b)
        const sorted = (outcome: AdminOutcome): AdminOutcome => ({
          ...outcome,
          states: new Map([...outcome.states].toSorted(([a], [b]) => (a < b ? -1 : 1)))
        })
        expect(
          plain(
            sorted(
              decideKeys(
                filed,
                mixed.map(([, one]) => one)
              )
            )
          )
        ).toEqual(plain(sorted(decideKeys(filed, said))))
      }),
      { numRuns: 2_000 }
    )
  })

  test('nothing that those below a key of the file say changes how that key stands', () => {
    check((filed, said) => {
      const all = decideKeys(filed, said)
      for (const [place, author] of filed.order.entries()) {
        const above = withSuccessors(filed.order.slice(0, place + 1), said)
        const without = decideKeys(
          filed,
          said.filter((command) => above.has(command.author))
        )
        expect(standingsOf(without, [author])).toEqual(standingsOf(all, [author]))
      }
    })
  })

  test('of a revoked key nothing counts: it is as if it had said nothing', () => {
    check((filed, said) => {
      const all = decideKeys(filed, said)
      for (const [author, { standing }] of all.keys) {
        if (!standing.voided) continue
        const rest = AUTHORS.filter((other) => other !== author)
        expect(
          standingsOf(
            decideKeys(
              filed,
              said.filter((command) => command.author !== author)
            ),
            rest
          )
        ).toEqual(standingsOf(all, rest))
      }
    })
  })

  test('nobody may more than whoever let it in, who is not revoked', () => {
    check((filed, said) => {
      const { keys } = decideKeys(filed, said)
      for (const { standing, word } of keys.values()) {
        if (word?.says !== 'authorize' || standing.voided || standing.closedAt !== undefined) continue
        const by = keys.get(word.by)?.standing as Standing
        expect(by.voided).toBe(false)
        expect(by.grant.admin && isWithin(standing.grant, by.grant)).toBe(true)
      }
    })
  })

  test('every operation of every command has a state, and what is in force is said by who may', () => {
    check((filed, said) => {
      const { keys, states } = decideKeys(filed, said)
      for (const { id, author, operations } of said) {
        const told = states.get(id) ?? []
        expect(told).toHaveLength(operations.length)
        if (told.some(({ status }) => status === 'applied'))
          expect(keys.get(author)?.standing).toMatchObject({ voided: false, grant: { admin: true } })
      }
    })
  })
})

/** These keys and all that were ever to take the place of one of them, at any number of hands. */
function withSuccessors(above: readonly Author[], said: readonly AdminCommand[]): ReadonlySet<Author> {
  const all = new Set(above)
  for (let before = 0; before < all.size;) {
    before = all.size
    for (const { author, operations } of said) {
      for (const one of operations) if (one?.op === 'authorize' && one.succeeds && all.has(author)) all.add(one.key.author)
    }
  }
  return all
}

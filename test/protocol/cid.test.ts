import { CID } from 'multiformats/cid'
import { describe, expect, test } from 'vitest'
import { cidKey, parseCid } from '../../src/protocol/cid.ts'
import { InvalidTextError } from '../../src/protocol/errors.ts'
import { isLabel } from '../../src/protocol/wire.ts'
import { identityCid, oldCid, rawCid } from '../vectors/source/make.ts'

const V0 = oldCid('a').toString()
const V1 = oldCid('a').toV1().toString()

describe('a CID is read as people write it', () => {
  test.each([V0, `/ipfs/${V0}`, `ipfs://${V0}`, `  ${V0}\n`, `/ipfs/${V0}/`])('%j', (text) => expect(parseCid(text).toString()).toBe(V0))

  test('both versions are one, and each stays as it is spelled', () => {
    expect(V0).toMatch(/^Qm/)
    expect(V1).toMatch(/^bafy/)
    expect([cidKey(parseCid(V0)), cidKey(parseCid(V1))]).toEqual([V1, V1])
    expect([parseCid(V0).toString(), parseCid(V1).toString()]).toEqual([V0, V1])
  })

  test.each(['k2cwuedp6jwdtopazp1juv4uejdnl3uxpjieb27o3e5ewuxk9xtxq6kb', 'zb2rhkH7YENgBZDCu4DK5oQLHKiHQgbR8z9274uJb8X4gxYsc'])(
    'in another base: %s',
    (text) => expect(cidKey(parseCid(text))).toBe(rawCid('a').toString())
  )

  test('identity CIDs up to the bound', () => {
    expect(parseCid(identityCid(96).toString()).byteLength).toBe(96)
    expect(parseCid('bafkqaaa').multihash.size).toBe(0)
  })
})

describe('what is none is named', () => {
  const short = CID.decode(Uint8Array.of(0x12, 5, 1, 2, 3, 4, 5) as never).toString()
  test.each([
    ['', '"" is not a CID'],
    ['Qm', '"Qm" is not a CID'],
    [short, `"${short}" is not a CID`],
    [`${V1}/index.html`, 'is a path'],
    [`/ipns/${V1}`, 'is a path'],
    ['https://example.com', 'is a path'],
    [V1.toUpperCase(), 'is not a CID'],
    [V1.slice(0, -1), 'is not a CID'],
    [`${V1}a`, 'is not a CID'],
    [identityCid(97).toString(), 'longer than 96 bytes'],
    ['Q'.repeat(1_000_000), 'longer than 96 bytes']
  ])('%.70s', (text, message) => {
    expect(() => parseCid(text)).toThrow(InvalidTextError)
    expect(() => parseCid(text)).toThrow(message)
    try {
      parseCid(text)
    } catch (err) {
      expect((err as Error).message.length).toBeLessThan(300)
    }
  })
})

test.each([
  ['a', true],
  ['blue-otter-7f3a', true],
  ['a.b_c', true],
  ['x'.repeat(64), true],
  ['x'.repeat(65), false],
  ['', false],
  ['-a', false],
  ['.a', false],
  ['_a', false],
  ['a/b', false],
  ['a b', false],
  ['a\n', false],
  ['é', false]
])('%j names a network or pinset: %s', (text, named) => expect(isLabel(text)).toBe(named))

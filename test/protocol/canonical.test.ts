import { fromString } from 'uint8arrays/from-string'
import { expect, test } from 'vitest'
import { requireCanonical } from '../../src/protocol/canonical.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_NESTING } from '../../src/protocol/limits.ts'

const nested = (depth: number): string => `${'81'.repeat(depth)}00`

test.each([
  ['00', 'zero'],
  ['1b001fffffffffffff', 'the largest integer that is exact in a double'],
  ['1bffffffffffffffff', 'the largest integer of CBOR'],
  ['3bffffffffffffffff', 'the smallest'],
  ['60', 'empty text'],
  ['63efbfbd', 'a replacement character that somebody wrote'],
  ['64f09f9880', 'a character beyond the basic plane'],
  ['64' + '61efbbbf', 'a byte order mark that is not in front'],
  ['40', 'no bytes'],
  ['80', 'an empty list'],
  ['a0', 'an empty map'],
  ['a3616101616202626161' + '03', 'keys: the shorter first, then bytewise'],
  ['82f4f6', 'false and null'],
  ['d82a450001550000', 'a CID'],
  ['81d82a4100', 'tag 42 on bytes, whatever they are'],
  [nested(MAX_NESTING), 'as deep as allowed']
])('%s is canonical: %s', (hex) => expect(() => requireCanonical(fromString(hex, 'hex'))).not.toThrow())

test.each([
  ['', 'nothing'],
  ['0000', 'two items'],
  ['1800', 'an integer in two bytes that fits one'],
  ['190000', 'in three'],
  ['1900ff', 'in three that fits two'],
  ['1a0000ffff', 'in five that fits three'],
  ['1b00000000ffffffff', 'in nine that fits five'],
  ['5800', 'a length in two bytes that fits one'],
  ['1c', 'a reserved head'],
  ['18', 'a head that ends too early'],
  ['41', 'bytes that end too early'],
  ['6161' + '61', 'a letter too many'],
  ['61', 'text that ends too early'],
  ['81', 'a list that ends too early'],
  ['a1', 'a map that ends too early'],
  ['a16161', 'a key without its value'],
  ['5f4100ff', 'bytes of indefinite length'],
  ['7f6161ff', 'text of indefinite length'],
  ['9fff', 'a list of indefinite length'],
  ['bfff', 'a map of indefinite length'],
  ['ff', 'a break'],
  ['a2616200616100', 'keys that are not sorted'],
  ['a262616100616200', 'the longer key first'],
  ['a2616100616101', 'a key twice'],
  ['a10000', 'a key that is an integer'],
  ['a1410000', 'a key that is bytes'],
  ['a1d82a41000' + '0', 'a key that is a link'],
  ['c100', 'another tag'],
  ['d82a00', 'tag 42 on an integer'],
  ['d82ad82a4100', 'tag 42 on a tag'],
  ['d82a', 'tag 42 on nothing'],
  ['d9002a4100', 'tag 42 in three bytes'],
  ['f7', 'undefined'],
  ['f0', 'a simple value'],
  ['f820', 'a simple value in two bytes'],
  ['f90000', 'a float of 16 bits'],
  ['fa00000000', 'of 32'],
  ['fb3ff8000000000000', 'of 64'],
  ['61ff', 'text that is not UTF-8'],
  ['62c080', 'UTF-8 that is not shortest'],
  ['63eda080', 'half a surrogate pair'],
  ['63efbbbf', 'a byte order mark in front'],
  [nested(MAX_NESTING + 1), 'deeper than allowed'],
  ['9bffffffffffffffff', 'a list of 2^64 - 1 items']
])('%s is not canonical: %s', (hex) => expect(() => requireCanonical(fromString(hex, 'hex'))).toThrow(InvalidMessageError))

test('bytes within a larger buffer are read at their place', () => {
  const buffer = fromString('ffff1900ffff', 'hex')
  expect(() => requireCanonical(buffer.subarray(2, 5))).toThrow(/shortest/)
  expect(() => requireCanonical(fromString('ffff190100ff', 'hex').subarray(2, 5))).not.toThrow()
})

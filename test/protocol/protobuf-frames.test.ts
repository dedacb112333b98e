import { describe, expect, test } from 'vitest'
import { createFieldCounter, type Shape } from '../../src/protocol/protobuf-frames.ts'

const SHAPE: Shape = { 1: { 1: 'bytes', 2: 'number' }, 2: 'bytes', 3: 'number', 4: 2 }
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

/** The error code of what a counter says to these bytes, in pieces of each size. */
function judge(hex: string, most = 4): string {
  const verdicts = [1, 2, 100].map((size) => {
    const counter = createFieldCounter(SHAPE, most)
    const all = bytes(hex)
    try {
      for (let at = 0; at < all.byteLength; at += size) counter.take(all.subarray(at, at + size))
      return 'taken'
    } catch (err) {
      return (err as { code: string }).code
    }
  })
  expect(new Set(verdicts).size).toBe(1)
  return verdicts[0] as string
}

describe('counts', () => {
  test.each([
    ['nothing', '', 'taken'],
    ['an empty message', '00', 'taken'],
    ['as many fields as there may be', '08 1200 1200 1200 1801', 'taken'],
    ['one more', '0a 1200 1200 1200 1200 1200', 'size'],
    ['fields inside a message too', '08 0a06 0a00 0a00 1001', 'taken'],
    ['one more inside', '0a 0a08 0a00 0a00 0a00 1001', 'size'],
    ['no fields in what is bytes', '0c 120a 0a00 0a00 0a00 0a00 0a00', 'taken'],
    ['fields that it does not know, of each type', '13 7801 7900000000000000 00 7a00 7d00000000', 'taken'],
    ['each message by itself', '02 1200 02 1200 02 1200 02 1200 02 1200', 'taken'],
    ['what goes on', '08 1200', 'taken'],
    ['bytes as long as they may be', '04 22020000', 'taken'],
    ['one byte more, before it is there', '02 2203', 'size'],
    ['the next field by its own length', '09 22020000 1203000000', 'taken']
  ])('%s', (_, hex, verdict) => {
    expect(judge(hex)).toBe(verdict)
  })
})

describe('refuses what another reader may take for more fields', () => {
  test.each([
    ['bytes where a number should be', '04 1a02 1200'],
    ['a number where bytes should be', '02 1000'],
    ['a group', '02 7b7c'],
    ['a type that is none', '02 7f00'],
    ['a length beyond the message', '02 1201'],
    ['a length beyond the message around it', '06 0a02 0a02 1200'],
    ['a tag beyond the message', '01 8a01'],
    ['a length that is longer than it need be', '03 128000'],
    ['a frame whose length is longer than it need be', '8000'],
    ['a length that wraps', '06 12 8080808010'],
    ['a number without end', '0c 18 8080808080808080808080']
  ])('%s', (_, hex) => {
    expect(judge(hex)).toBe('encoding')
  })
})

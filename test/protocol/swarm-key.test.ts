import { describe, expect, test } from 'vitest'
import { formatSwarmKey, parseSwarmKey } from '../../src/protocol/swarm-key.ts'

const DIGITS = 'dffb7e3135399a8b1612b2aaca1c36a3a8ac2cd0cca51ceeb2ced87d308cac6d'
const TEXT = `/key/swarm/psk/1.0.0/\n/base16/\n${DIGITS}\n`

test('what Kubo and js-libp2p write is read, and written again as it was', () => {
  const key = parseSwarmKey(TEXT)
  expect(Buffer.from(key).toString('hex')).toBe(DIGITS)
  expect(formatSwarmKey(key)).toBe(TEXT)
  for (const text of [TEXT.trimEnd(), TEXT.replaceAll('\n', '\r\n'), TEXT.replace(DIGITS, DIGITS.toUpperCase())])
    expect(parseSwarmKey(text)).toEqual(key)
})

describe('what is no key is refused with the way out, and never quoted', () => {
  test.each([
    ['', /first line/],
    [DIGITS, /first line/],
    [TEXT.replace('1.0.0', '2.0.0'), /first line/],
    [TEXT.replace('base16', 'base64'), /second line/],
    [TEXT.replace(DIGITS, DIGITS.slice(1)), /third and last line is not 64 hex digits/],
    [TEXT.replace('df', 'xy'), /third and last/],
    [`${TEXT}${DIGITS}\n`, /third and last/]
  ])('%j', (text, message) => {
    const read = () => parseSwarmKey(text)
    expect(read).toThrow(expect.objectContaining({ name: 'InvalidTextError', code: 'key' }))
    expect(read).toThrow(message)
    expect(read).toThrow(/openssl rand -hex 32/)
    expect(read).not.toThrow(new RegExp(DIGITS.slice(8, 20)))
  })
})

/** Key files and what an agent says, whatever stands in them: a key, or an error with a name. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidTextError } from '../../src/protocol/errors.ts'
import type { Derive } from '../../src/protocol/openssh-cipher.ts'
import { formatPrivateKey, parsePrivateKey } from '../../src/protocol/openssh-private-key.ts'
import { readIdentities, readSignature } from '../../src/protocol/ssh-agent.ts'

/** Stands in for bcrypt, which takes half a second. */
const derive: Derive = (passphrase, salt, rounds, length) => {
  const hash = createHash('shake256', { outputLength: length })
  return new Uint8Array(hash.update(passphrase).update(salt).update(`${rounds}`).digest())
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const secret = fc.string({ minLength: 1, unit: 'grapheme' })
const key = fc.record({ seed: bytes(32), comment: fc.string({ unit: 'grapheme' }), check: fc.nat(), salt: bytes(16), passphrase: secret })

describe('a key file', () => {
  test('gives back what it was made of, locked or not', () => {
    fc.assert(
      fc.property(key, ({ seed, comment, check, salt, passphrase }) => {
        expect(parsePrivateKey(formatPrivateKey(seed, comment, check))).toMatchObject({ seed, comment })
        const unlock = { passphrase, derive }
        const locked = formatPrivateKey(seed, comment, check, { unlock, salt })
        expect(parsePrivateKey(locked, unlock)).toMatchObject({ seed, comment })
        expect(() => parsePrivateKey(locked)).toThrow(expect.objectContaining({ code: 'encrypted' }))
      })
    )
  })

  test('is opened by no other passphrase', () => {
    fc.assert(
      fc.property(key, secret, ({ seed, comment, check, salt, passphrase }, other) => {
        fc.pre(other !== passphrase)
        const locked = formatPrivateKey(seed, comment, check, { unlock: { passphrase, derive }, salt })
        expect(() => parsePrivateKey(locked, { passphrase: other, derive })).toThrow(expect.objectContaining({ code: 'passphrase' }))
      })
    )
  })

  test('that was changed is the same key, or an error that says so', () => {
    fc.assert(
      fc.property(key, fc.nat(), fc.nat(), fc.boolean(), ({ seed, comment, check, salt, passphrase }, at, value, isLocked) => {
        const unlock = { passphrase, derive }
        const text = formatPrivateKey(seed, comment, check, isLocked ? { unlock, salt } : undefined)
        const [head = '', ...rest] = text.split('\n')
        const raw = Buffer.from(rest.slice(0, -2).join(''), 'base64')
        raw[at % raw.byteLength] = value % 256
        const changed = [head, raw.toString('base64'), ...rest.slice(-2)].join('\n')
        try {
          expect(parsePrivateKey(changed, unlock).seed).toEqual(seed)
        } catch (err) {
          expect(err).toBeInstanceOf(InvalidTextError)
        }
      }),
      { numRuns: 500 }
    )
  })
})

test('whatever an agent answers, it is read, a refusal, or an error that is caught', () => {
  fc.assert(
    fc.property(fc.constantFrom(5, 6, 12, 14), fc.uint8Array({ maxLength: 64 }), (type, tail) => {
      for (const read of [readIdentities, readSignature]) {
        try {
          const found = read(Uint8Array.of(type, ...tail))
          expect(found === undefined).toBe(type === 5)
        } catch (err) {
          expect(['RangeError', 'TypeError']).toContain((err as Error).name)
        }
      }
    })
  )
})

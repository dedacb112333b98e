/** Changes to text by its words: lines, fields, quotes, JSON. */
import type { Random } from '../support/random.ts'
import { textOf, utf8 } from './target.ts'

/** What text formats trip over. */
const WORDS: readonly string[] = [
  '',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\r',
  '\0',
  '"',
  '\\',
  '\\"',
  "'",
  '#',
  '@',
  ',',
  '=',
  '*',
  ':',
  '/',
  '%',
  '~/',
  '[',
  ']',
  '{',
  '}',
  '\uFEFF',
  '\u2028',
  '\u202e',
  '\u001b[2J',
  'é',
  '🎉',
  '\\ud800',
  '\\u0000',
  '0',
  '-0',
  '-1',
  '1e999',
  '1e-7',
  '9007199254740993',
  '99999999999999999999',
  'null',
  'true',
  'NaN',
  '__proto__',
  'constructor',
  'toString',
  '"__proto__":{"v":1}',
  '{"toString":1,"valueOf":2}',
  '[{}]',
  'SHA256:',
  'ssh-ed25519',
  '12D3KooW'
]

/** How often a word is said again, seldom and mostly. */
const TIMES = [2, 3, 8, 65, 257, 1_025, 20_000]

const PIECE = /[A-Za-z0-9+/_-]+|\s+|[^A-Za-z0-9+/_\s-]/g

/** One change; `words` are those of the format. What is no UTF-8 is replaced first. */
export function mutateText(bytes: Uint8Array, random: Random, other: Uint8Array, words: readonly string[] = []): Uint8Array {
  const pieces = textOf(bytes).match(PIECE) ?? ['']
  const i = random.between(0, pieces.length - 1)
  const word = (): string => random.pick(words.length > 0 && random.chance(0.5) ? words : WORDS)
  switch (random.between(0, 8)) {
    case 0:
      pieces[i] = word()
      break
    case 1:
      pieces.splice(i, 0, word())
      break
    case 2:
      pieces.splice(i, random.pick([1, 1, 1, 2, 5]))
      break
    case 3:
      pieces.splice(i, 0, ...pieces.slice(i, i + random.pick([1, 2, 5, 20])))
      break
    case 4: {
      const j = random.between(0, pieces.length - 1)
      const [a, b] = [pieces[i] as string, pieces[j] as string]
      pieces[i] = b
      pieces[j] = a
      break
    }
    case 5: {
      const theirs = textOf(other).match(PIECE) ?? ['']
      const j = random.between(0, theirs.length - 1)
      pieces.splice(i, random.between(0, 5), ...theirs.slice(j, j + random.between(1, 20)))
      break
    }
    case 6:
      pieces[i] = (random.chance(0.5) ? (pieces[i] as string).slice(0, 8) : word()).repeat(
        random.pick(random.chance(0.95) ? TIMES.slice(0, 4) : TIMES)
      )
      break
    case 7: {
      const piece = pieces[i] as string
      const at = random.between(0, piece.length)
      pieces[i] = piece.slice(0, at) + (random.chance(0.5) ? word() : String.fromCodePoint(random.between(0, 0x7f))) + piece.slice(at + 1)
      break
    }
    case 8: {
      const deep = random.pick(random.chance(0.95) ? [1, 2, 20] : [600, 6_000])
      pieces[i] = random.chance(0.5) ? '['.repeat(deep) + ']'.repeat(deep) : '{"a":'.repeat(deep) + '1' + '}'.repeat(deep)
      break
    }
  }
  return utf8(pieces.join(''))
}

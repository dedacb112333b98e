/** The options before a key in authorized_keys. @see https://man.openbsd.org/sshd.8#AUTHORIZED_KEYS_FILE_FORMAT */
import { InvalidTextError } from './errors.ts'
import type { Grant, Right } from './grants.ts'
import { MAX_NAME_LABEL } from './limits.ts'
import { bytesIn } from './size.ts'

/** What the options of a line say; `rights` is absent where they name no `ops`. */
export type KeyOptions = Omit<Grant, 'author' | 'comment' | 'rights'> & { readonly rights?: readonly Right[] }

/**
 * Splits a line that begins with options from what follows: options end at the first space or tab outside double quotes.
 * Throws {@link InvalidTextError} `options` where a quote is not closed.
 */
export function splitOptions(line: string): { readonly options: string; readonly rest: string } {
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const char = line[i]
    if (char === '\\' && line[i + 1] === '"') i++
    else if (char === '"') quoted = !quoted
    else if (!quoted && (char === ' ' || char === '\t')) return { options: line.slice(0, i), rest: line.slice(i).trimStart() }
  }
  if (quoted) fail('a double quote is not closed')
  return { options: line, rest: '' }
}

const OPTION = /^([A-Za-z][A-Za-z0-9@._-]*)(?:="((?:\\"|[^"\\]|\\(?!"))*)")?(?:,|$)/

/**
 * Reads comma-separated options; names in any case, values in double quotes, `\"` for a quote.
 * Throws {@link InvalidTextError} `options` for an unknown, repeated or malformed one.
 */
export function parseKeyOptions(text: string): KeyOptions {
  const values = new Map<string, string | undefined>()
  let rest = text
  while (rest !== '') {
    const match = OPTION.exec(rest)
    if (match === null) fail(`options such as ops="pin",pinset="site" were expected, not ${quote(rest)}`)
    const name = (match[1] as string).toLowerCase()
    if (values.has(name)) fail(`option "${name}" twice`)
    values.set(name, match[2]?.replaceAll('\\"', '"'))
    rest = rest.slice(match[0].length)
    if (rest === '' && match[0].endsWith(',')) fail('a comma without an option behind it')
  }
  return readOptions(values)
}

/** The options of a key line that grants the same; empty for one that is limited in nothing. */
export function formatOptions({ rights, pinsets, validAfter, expiryTime, maxPins, maxBytes, admin }: Grant): string {
  const all = rights.includes('pin') && rights.includes('unpin')
  return [
    ...(all ? [] : [`ops="${rights.join(',')}"`]),
    ...(pinsets === undefined ? [] : [`pinset="${pinsets.join(',')}"`]),
    ...(validAfter === undefined ? [] : [`valid-after="${formatKeyTime(validAfter)}"`]),
    ...(expiryTime === undefined ? [] : [`expiry-time="${formatKeyTime(expiryTime)}"`]),
    ...(maxPins === undefined ? [] : [`max-pins="${maxPins}"`]),
    ...(maxBytes === undefined ? [] : [`max-size="${maxBytes}"`]),
    ...(admin ? ['admin'] : [])
  ].join(',')
}

function readOptions(values: ReadonlyMap<string, string | undefined>): KeyOptions {
  let options: KeyOptions = { admin: false }
  for (const [name, value] of values) options = { ...options, ...readOption(name, value) }
  const { validAfter, expiryTime } = options
  if (validAfter !== undefined && expiryTime !== undefined && validAfter >= expiryTime) fail('valid-after is not before expiry-time')
  return options
}

function readOption(name: string, value: string | undefined): Partial<KeyOptions> {
  switch (name) {
    case 'ops':
      return { rights: items(name, value).map(right) }
    case 'pinset':
      return { pinsets: items(name, value).map(pattern) }
    case 'valid-after':
      return { validAfter: parseKeyTime(name, needed(name, value)) }
    case 'expiry-time':
      return { expiryTime: parseKeyTime(name, needed(name, value)) }
    case 'admin':
      if (value !== undefined) fail('option "admin" takes no value')
      return { admin: true }
    case 'max-pins':
      return { maxPins: parseCount(name, needed(name, value)) }
    case 'max-size':
      return { maxBytes: parseSize(name, needed(name, value)) }
    default:
      return fail(`unknown option ${quote(name)}, so the line grants nothing`)
  }
}

function needed(name: string, value: string | undefined): string {
  return value ?? fail(`option "${name}" needs a value: ${name}="…"`)
}

function items(name: string, value: string | undefined): readonly string[] {
  const list = needed(name, value)
    .split(',')
    .map((item) => item.trim())
  if (list.includes('')) fail(`option "${name}" holds an empty item`)
  return [...new Set(list)]
}

function right(text: string): Right {
  return text === 'pin' || text === 'unpin' ? text : fail(`unknown operation ${quote(text)}: ops are pin and unpin`)
}

function pattern(text: string): string {
  const good = text.length <= MAX_NAME_LABEL && /^[A-Za-z0-9*][A-Za-z0-9._*-]*$/.test(text)
  return good ? text : fail(`${quote(text)} is not the name of a pinset, or a pattern with * of one`)
}

/**
 * `YYYYMMDD[HHMM[SS]][Z]` to milliseconds since the epoch. Always UTC, `Z` or not, unlike sshd: a line means the same
 * instant on every node, or nodes in different zones would disagree for hours on whose commands count.
 */
function parseKeyTime(name: string, text: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?Z?$/.exec(text)
  const bad = (): never => fail(`${name}="…" takes a date in UTC, YYYYMMDD or YYYYMMDDHHMM[SS], not ${quote(text)}`)
  if (match === null) return bad()
  const [year, month, day, hour, minute, second] = match.slice(1).map((part) => part ?? '00')
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const time = Date.parse(iso)
  // Date.parse takes 31 February for 3 March.
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? bad() : time
}

/** `YYYYMMDDHHMMSS`. */
function formatKeyTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14)
}

function parseCount(name: string, text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(count) && count > 0 ? count : fail(`${name}="…" takes a number of pins from 1, not ${quote(text)}`)
}

function parseSize(name: string, text: string): number {
  return bytesIn(text) || fail(`${name}="…" takes a size from 1 byte, like 38GB or 500MiB, not ${quote(text)}`)
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

function fail(message: string): never {
  throw new InvalidTextError('options', message)
}

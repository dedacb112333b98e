/** What each setting may be. One schema each, whether it comes from a flag, a variable or config.json. */
import * as z from 'zod'
import { InvalidTextError } from '../protocol/errors.ts'
import { parseKeyLine } from '../protocol/authorized-keys.ts'
import { DEFAULT_PINSET } from '../protocol/command.ts'
import { MAX_METADATA_BYTES, MAX_REPLICAS, MAX_TAGS } from '../protocol/limits.ts'
import { isLabel } from '../protocol/wire.ts'
import { checkBootstrap, checkMultiaddr } from './addresses.ts'
import { ConfigError } from './errors.ts'
import { expandTilde } from './home.ts'
import { parseDuration, parseSize } from './units.ts'

/** How text from a flag or a variable becomes the JSON form that the schema reads. */
export type Form = 'text' | 'number' | 'boolean' | 'list' | 'lines'

/** One setting. */
export interface Setting {
  readonly form: Form
  readonly schema: z.ZodType
  /** Set for secrets, which every user of the machine could read on a command line. */
  readonly noFlag?: true
}

/** The longest delay a timer takes; 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** A schema of text whose reader throws with the reason; `what` it is where something else than text was given. */
function text<T>(read: (value: string) => T, what = 'text') {
  return z.string(`${what} was expected`).transform((value, context) => {
    try {
      return read(value)
    } catch (err) {
      if (!(err instanceof ConfigError || err instanceof InvalidTextError)) throw err
      context.addIssue({ code: 'custom', message: err.message })
      return z.NEVER
    }
  })
}

/** In config.json a list of one may be written without brackets. */
function list<T extends z.ZodType>(item: T) {
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(item, 'a list was expected'))
}

const name = text((value) => (isLabel(value) ? value : fail(`"${value}" is not a name: letters, digits, ".", "_" and "-", at most 64`)))
const plain = text((value) => (value === '' ? fail('empty') : value))
/** No shell has expanded what stands in a variable, in config.json or behind `--key=`. */
const path = text((value) => (value === '' ? fail('empty') : expandTilde(value)))
const multiaddrs = list(text((value) => (checkMultiaddr(value), value)))
const count = z.int('a whole number was expected').min(1, 'at least 1')
const flag = z.boolean('true or false was expected')

/** Every setting by its long flag name. */
export const SETTINGS = {
  network: { form: 'text', schema: name },
  bootstrap: { form: 'list', schema: list(text((value) => (checkBootstrap(value), value))) },
  listen: { form: 'list', schema: multiaddrs },
  announce: { form: 'list', schema: multiaddrs },
  'authorized-keys': { form: 'text', schema: plain },
  authorize: { form: 'lines', schema: list(text((value) => (parseKeyLine(value), value.trim()))) },
  backend: { form: 'text', schema: z.enum(['auto', 'helia', 'kubo'], 'auto, helia or kubo was expected') },
  'kubo-api': { form: 'text', schema: text(httpUrl) },
  'kubo-authorization': { form: 'text', schema: plain, noFlag: true },
  'start-daemon': { form: 'text', schema: plain },
  tag: { form: 'list', schema: list(z.string('text was expected')).transform(readTags) },
  capacity: { form: 'text', schema: z.union([z.int().min(0), text(parseSize)], 'a size such as "38GB" was expected') },
  key: { form: 'text', schema: path },
  'key-passphrase-file': { form: 'text', schema: path },
  'swarm-key': { form: 'text', schema: path },
  wait: { form: 'number', schema: z.union([count, z.literal('all')], 'a number from 1 on, or "all", was expected') },
  timeout: { form: 'text', schema: text(timeout, 'a duration such as "60s"') },
  replicas: { form: 'number', schema: count.max(MAX_REPLICAS, `at most ${MAX_REPLICAS}`) },
  pinset: { form: 'text', schema: name },
  json: { form: 'boolean', schema: flag },
  verbose: { form: 'boolean', schema: flag },
  mdns: { form: 'boolean', schema: flag },
  'remote-keys': { form: 'boolean', schema: flag }
} as const satisfies Record<string, Setting>

/** The long flag name of a setting. */
export type SettingName = keyof typeof SETTINGS

/** What holds where nothing is said. */
export const DEFAULTS = {
  backend: 'auto',
  'kubo-api': 'http://127.0.0.1:5001',
  timeout: 60_000,
  pinset: DEFAULT_PINSET
} as const

function timeout(value: string): number {
  const ms = parseDuration(value)
  return ms > 0 && ms <= MAX_TIMEOUT_MS ? ms : fail('more than 0 and at most 24d was expected')
}

function httpUrl(value: string): string {
  const url = URL.parse(value)
  if (url === null || !/^https?:$/.test(url.protocol)) fail(`"${value}" is not the URL of an RPC: write it like ${DEFAULTS['kubo-api']}`)
  if (url.username !== '' || url.password !== '') fail('a password in a URL ends up in logs: use PINSUB_KUBO_AUTHORIZATION')
  return value.replace(/\/+$/, '')
}

function readTags(values: readonly string[], context: z.RefinementCtx): Readonly<Record<string, string>> {
  const tags = new Map<string, string>()
  for (const item of values) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(item) ?? []
    if (!isLabel(key) || value === '' || /\p{Cc}/u.test(value))
      context.addIssue({ code: 'custom', message: `"${item}" is not a tag: write it like region=eu` })
    if (tags.has(key)) context.addIssue({ code: 'custom', message: `tag "${key}" twice` })
    tags.set(key, value)
  }
  const bytes = [...tags].reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0)
  if (tags.size > MAX_TAGS || bytes > MAX_METADATA_BYTES) {
    context.addIssue({ code: 'custom', message: `at most ${MAX_TAGS} tags of ${MAX_METADATA_BYTES} bytes together` })
  }
  return Object.fromEntries(tags)
}

function fail(message: string): never {
  throw new ConfigError(message)
}

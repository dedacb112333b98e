/** Reads settings out of flags, variables and config.json: text to values, each checked against its schema. */
import type * as z from 'zod'
import { closest } from './closest.ts'
import { ConfigError } from './errors.ts'
import { SETTINGS, type Form, type Setting, type SettingName } from './settings.ts'

/** Checked settings; only what was given. */
export type Values = { readonly [Name in SettingName]?: z.output<(typeof SETTINGS)[Name]['schema']> }

const NAMES = Object.keys(SETTINGS) as readonly SettingName[]

/** Settings of config.json, every key and type checked. Throws {@link ConfigError}. */
export function fromConfigFile(file: unknown): Values {
  if (file === undefined) return {}
  if (typeof file !== 'object' || file === null || Array.isArray(file))
    throw new ConfigError('config.json: an object of settings was expected')
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(file)) {
    if (!isSetting(name)) throw new ConfigError(`config.json: unknown key "${name}"${suggestion(name)}`)
    values[name] = check(name, value, `config.json: "${name}"`)
  }
  return values
}

/** Settings of `PINSUB_…` variables; an empty one counts as absent. Throws {@link ConfigError}. */
export function fromEnv(env: Readonly<Record<string, string | undefined>>): Values {
  const values: Record<string, unknown> = {}
  for (const name of NAMES) {
    const variable = `PINSUB_${name.toUpperCase().replaceAll('-', '_')}`
    const text = env[variable]?.trim()
    if (text) values[name] = check(name, fromText(SETTINGS[name].form, text), variable)
  }
  return values
}

/** Settings among parsed flags. Throws {@link ConfigError}. */
export function fromFlags(flags: Readonly<Record<string, unknown>>): Values {
  const values: Record<string, unknown> = {}
  for (const [flag, value] of Object.entries(flags)) {
    const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (!isSetting(name) || value === undefined) continue
    const { form, noFlag }: Setting = SETTINGS[name]
    if (noFlag)
      throw new ConfigError(
        `--${name}: a secret on the command line can be read by every user: use PINSUB_${name.toUpperCase().replaceAll('-', '_')}`
      )
    const typed = typeof value === 'string' && form !== 'list' && form !== 'lines' ? fromText(form, value) : value
    values[name] = check(name, typed, `--${name}`)
  }
  return values
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name)
}

function suggestion(name: string): string {
  const near = closest(name, NAMES)
  return near === undefined ? '' : `, did you mean "${near}"?`
}

function fromText(form: Form, text: string): unknown {
  switch (form) {
    case 'text':
      return text
    case 'number':
      return /^\d+$/.test(text) ? Number(text) : text
    case 'boolean':
      return /^(1|true|yes|on)$/i.test(text) ? true : /^(0|false|no|off)$/i.test(text) ? false : text
    case 'list':
      return text.split(/[\s,]+/).filter((item) => item !== '')
    case 'lines':
      return text.split(/\r?\n/).filter((item) => item.trim() !== '')
  }
}

function check(name: SettingName, value: unknown, source: string): unknown {
  const result = (SETTINGS[name].schema as z.ZodType).safeParse(value)
  if (result.success) return freeze(result.data)
  const [issue] = result.error.issues
  const ofType = issue?.code.startsWith('invalid_') === true
  const { noFlag: isSecret }: Setting = SETTINGS[name]
  throw new ConfigError(`${source}: ${issue?.message}${ofType && isSecret !== true ? `, not ${quote(value)}` : ''}`)
}

/** Never the inside of what may nest deeper than a writer's stack. */
function quote(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return JSON.stringify(value).slice(0, 60)
}

function freeze<T>(value: T): T {
  return typeof value === 'object' ? Object.freeze(value) : value
}

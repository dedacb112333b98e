/** config.json on disk. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MAX_CONFIG_BYTES } from '../protocol/limits.ts'
import { ConfigError } from './errors.ts'
import { fromConfigFile } from './sources.ts'

/** Reads config.json as it stands, unchecked; undefined when there is none. Throws {@link ConfigError} that names the file. */
export async function readConfigFile(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    return parseConfigText(path, await readText(path))
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw err instanceof ConfigError ? err : fileError(path, 'read', err)
  }
}

function fileError(path: string, verb: 'read' | 'write', cause: unknown): ConfigError {
  const { code, message } = cause as NodeJS.ErrnoException
  const out = 'name another home with --home DIR'
  if (code === 'ENOTDIR') return new ConfigError(`${dirname(path)} is a file, or below one: ${out}`, { cause })
  if (code === 'EACCES' || code === 'EPERM') return new ConfigError(`this user may not ${verb} ${path}: ${out}`, { cause })
  return new ConfigError(`cannot ${verb} ${path}: ${message}`, { cause })
}

/** What the text of a config.json says, unchecked; throws {@link ConfigError} that names the file. */
export function parseConfigText(path: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (err) {
    // Behind the reason JSON.parse quotes what stands there, which may be a secret; so would a stack trace.
    throw new ConfigError(`${path} is not JSON: ${(err as Error).message.replace(/, "?\.*".*/s, '')}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${path}: an object of settings was expected`)
  return value as Readonly<Record<string, unknown>>
}

/** Never waits for a pipe, nor fills the memory with what is no file of settings. */
async function readText(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const info = await file.stat()
    if (!info.isFile()) throw new ConfigError(`${path} is not a regular file`)
    if (info.size > MAX_CONFIG_BYTES) throw new ConfigError(`${path} has more than ${MAX_CONFIG_BYTES} bytes: is it the right file?`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/**
 * Replaces config.json by exactly `values` (names as flags, JSON forms), whole or not at all; mode 0600, as it may hold a secret.
 * Throws {@link ConfigError} for values that could not be read back, and when the disk refuses.
 */
export async function writeConfigFile(path: string, values: Readonly<Record<string, unknown>>): Promise<void> {
  fromConfigFile(values)
  const temp = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    const file = await open(temp, 'wx', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(values, undefined, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temp, path)
  } catch (err) {
    await rm(temp, { force: true }).catch(() => undefined)
    throw fileError(path, 'write', err)
  }
}

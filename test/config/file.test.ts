import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { inspect, promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { readConfigFile, writeConfigFile } from '../../src/config/file.ts'
import { MAX_CONFIG_BYTES } from '../../src/protocol/limits.ts'
import { homeDirectory, homeLayout } from '../../src/config/home.ts'

async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-config-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('what is written is read back, mode 0600, with nothing else left behind', async () => {
  const dir = await temporaryFolder()
  const path = join(dir, 'config.json')
  expect(await readConfigFile(path)).toBeUndefined()
  await writeConfigFile(path, { network: 'a', bootstrap: ['192.0.2.1'] })
  await writeConfigFile(path, { network: 'b' })
  expect(await readConfigFile(path)).toEqual({ network: 'b' })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(dir)).toEqual(['config.json'])
})

test('what could not be read back is not written', async () => {
  const path = join(await temporaryFolder(), 'config.json')
  await expect(writeConfigFile(path, { netwrok: 'a' })).rejects.toMatchObject({ name: 'ConfigError', code: 'config' })
  expect(await readConfigFile(path)).toBeUndefined()
})

test.each(['', '{', '[]', 'null', '"x"', '{"a":1,}'])('%j is refused, and the file named', async (text) => {
  const path = join(await temporaryFolder(), 'config.json')
  await writeFile(path, text)
  await expect(readConfigFile(path)).rejects.toMatchObject({ name: 'ConfigError', message: expect.stringContaining(path) })
  expect(await readFile(path, 'utf8')).toBe(text)
})

test.each(['{"kubo-authorization": Bearer s3cret}', '{"kubo-authorization":"Bearer s3cret"', '"Bearer s3cret" x'])(
  '%j is refused and not quoted: it may hold a secret',
  async (text) => {
    const path = join(await temporaryFolder(), 'config.json')
    await writeFile(path, text)
    const failure = (await readConfigFile(path).catch((err: unknown) => err)) as Error
    expect(failure).toMatchObject({ name: 'ConfigError', message: expect.stringContaining(`${path} is not JSON: `) })
    expect(inspect(failure)).not.toMatch(/s3c/)
  }
)

test('a folder that is missing, or in the way, is named', async () => {
  const dir = await temporaryFolder()
  await writeFile(join(dir, 'file'), '')
  await expect(readConfigFile(join(dir, 'file', 'config.json'))).rejects.toMatchObject({
    name: 'ConfigError',
    message: `${join(dir, 'file')} is a file, or below one: name another home with --home DIR`
  })
  await expect(readConfigFile(dir)).rejects.toMatchObject({ name: 'ConfigError', message: expect.stringContaining(dir) })
  await expect(writeConfigFile(join(dir, 'none', 'config.json'), {})).rejects.toMatchObject({
    name: 'ConfigError',
    message: expect.stringContaining('none')
  })
})

test('the home: flag, variable, default; and everything in it', () => {
  expect(homeDirectory('/a', { PINSUB_HOME: '/b' })).toBe('/a')
  expect(homeDirectory(undefined, { PINSUB_HOME: '/b' })).toBe('/b')
  expect(homeDirectory(undefined, { PINSUB_HOME: '' })).toBe(join(homedir(), '.pinsub'))
  expect(homeDirectory('~/elsewhere', {})).toBe(join(homedir(), 'elsewhere'))
  expect(() => homeDirectory('', { PINSUB_HOME: '/b' })).toThrow('--home: empty')
  const { dir, ...files } = homeLayout('some/where')
  expect(dir).toBe(resolve('some/where'))
  for (const file of Object.values(files)) expect(file.startsWith(dir)).toBe(true)
  expect(files.hostKey).toBe(join(dir, 'node', 'host_key'))
})

test('what is no file, or too large to be one of settings, is not read', async () => {
  const path = join(await temporaryFolder(), 'config.json')
  await writeFile(path, ' '.repeat(MAX_CONFIG_BYTES - 2) + '{}')
  expect(await readConfigFile(path)).toEqual({})
  await writeFile(path, ' '.repeat(MAX_CONFIG_BYTES - 1) + '{}')
  await expect(readConfigFile(path)).rejects.toMatchObject({ name: 'ConfigError', message: expect.stringContaining('more than') })
  await rm(path)
  await promisify(execFile)('mkfifo', [path])
  await expect(readConfigFile(path)).rejects.toMatchObject({ name: 'ConfigError', message: `${path} is not a regular file` })
})

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { rotationFiles, rotationStage, takeOver } from '../../src/identity/rotation-files.ts'
import { temporaryFolder } from './folder.ts'

const files = async () => rotationFiles(join(await temporaryFolder(), 'id'))
const put = (path: string, text: string): void => {
  writeFileSync(path, text)
  writeFileSync(`${path}.pub`, `${text}.pub`)
}
const get = (path: string): string[] => [path, `${path}.pub`].map((file) => readFileSync(file, 'utf8'))

test('a rotation that was not begun, and one whose next key is there', async () => {
  const { key, next } = await files()
  await expect(rotationStage({ key, next })).rejects.toMatchObject({ code: 'missing' })
  put(key, 'old')
  expect(await rotationStage({ key, next })).toBe('fresh')
  put(next, 'new')
  expect(await rotationStage({ key, next })).toBe('next')
})

test('the next key takes the place of the old one, which is never overwritten', async () => {
  const { key, next } = await files()
  for (const [name, aside] of [
    ['first', 'id.closed-20261128'],
    ['second', 'id.closed-20261128-2']
  ] as const) {
    put(key, name)
    put(next, `after ${name}`)
    expect(await takeOver({ key, next }, '20261128')).toBe(join(dirname(key), aside))
    expect(get(join(dirname(key), aside))).toEqual([name, `${name}.pub`])
    expect(get(key)).toEqual([`after ${name}`, `after ${name}.pub`])
    expect(existsSync(next)).toBe(false)
  }
})

// The four steps of a take-over, by file.
const STEPS = (key: string, next: string): [string, string][] => [
  [`${key}.pub`, `${key}.closed-20261128.pub`],
  [key, `${key}.closed-20261128`],
  [`${next}.pub`, `${key}.pub`],
  [next, key]
]

test.each([0, 1, 2, 3, 4])('killed after %i of its four steps it goes on', async (steps) => {
  const { key, next } = await files()
  put(key, 'old')
  put(next, 'new')
  for (const [from, to] of STEPS(key, next).slice(0, steps)) renameSync(from, to)
  if (steps < 4) {
    expect(await rotationStage({ key, next })).toBe(steps < 2 ? 'next' : 'aside')
    expect(await takeOver({ key, next }, '20261128')).toBe(steps < 2 ? `${key}.closed-20261128` : undefined)
  }
  expect(get(key)).toEqual(['new', 'new.pub'])
  expect(get(`${key}.closed-20261128`)).toEqual(['old', 'old.pub'])
})

test('a key below .ssh logs in somewhere, and is not replaced', async () => {
  const dir = join(await temporaryFolder(), '.ssh')
  mkdirSync(dir)
  put(join(dir, 'id_ed25519'), 'old')
  await expect(rotationStage(rotationFiles(join(dir, 'id_ed25519')))).rejects.toMatchObject({ code: 'foreign' })
})

import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addAuthorizedLine, removeAuthorizedKeys, revokeAuthorizedKeys } from '../../src/identity/authorized-keys-edit.ts'
import { MADE_BY_PINSUB } from '../../src/identity/authorized-keys-file.ts'
import { MAX_KEY_LINES } from '../../src/protocol/limits.ts'
import { author, line, temporaryFolder } from './folder.ts'

const HEAD = `${MADE_BY_PINSUB}\n# mine\n`

async function fileWith(text: string, mode = 0o640): Promise<string> {
  const file = join(await temporaryFolder(), 'authorized_keys')
  await writeFile(file, text)
  await chmod(file, mode)
  return file
}

test('closing and voiding keep the mode, the rest of the file and a link to it, and may be done again', async () => {
  const real = await fileWith(`${HEAD}${line(1)}\nno-pty ${line(9)}\n${line(2)}`)
  const file = join(await temporaryFolder(), 'link')
  await symlink(real, file)
  expect(await removeAuthorizedKeys(file, new Set([author(1)]))).toEqual(new Set([author(1)]))
  expect(await removeAuthorizedKeys(file, new Set([author(1)]))).toEqual(new Set())
  expect(await revokeAuthorizedKeys(file, new Map([[author(2), undefined]]))).toEqual(new Set([author(2)]))
  expect(await revokeAuthorizedKeys(file, new Map([[author(2), line(2)]]))).toEqual(new Set())
  expect(await readFile(real, 'utf8')).toBe(`${HEAD}no-pty ${line(9)}\n@revoked ${line(2)}`)
  expect((await stat(real)).mode & 0o777).toBe(0o640)
  expect((await lstat(file)).isSymbolicLink()).toBe(true)
  expect(await readdir(join(real, '..'))).toEqual(['authorized_keys'])
})

test('a key that stands in no line is voided where it is given whole, also before there is a file', async () => {
  const file = join(await temporaryFolder(), 'authorized_keys')
  await revokeAuthorizedKeys(file, new Map([[author(1), line(1)]]))
  expect(await readFile(file, 'utf8')).toMatch(new RegExp(`^${MADE_BY_PINSUB}[^]*\n@revoked ${line(1).replaceAll('+', '\\+')}\n$`))
  await expect(revokeAuthorizedKeys(file, new Map([[author(2), undefined]]))).rejects.toMatchObject({ code: 'unknown' })
})

describe('a file of another is only read', () => {
  const writes = [
    ['add', (file: string) => addAuthorizedLine(file, line(7)), `add the line  ${line(7)}`],
    ['remove', (file: string) => removeAuthorizedKeys(file, new Set([author(1)])), `remove line 1  ${line(1)}`],
    ['revoke', (file: string) => revokeAuthorizedKeys(file, new Map([[author(1), undefined]])), `make line 1  @revoked ${line(1)}`]
  ] as const

  test.each(writes)('%s', async (_, write, byHand) => {
    const file = await fileWith(`${line(1)}\n`)
    const before = await stat(file, { bigint: true })
    await expect(write(file)).rejects.toMatchObject({ code: 'foreign', message: expect.stringContaining(byHand) })
    expect((await stat(file, { bigint: true })).ctimeNs).toBe(before.ctimeNs)
  })

  test.each(writes)('%s below .ssh, also through a link to a folder, where nothing is made even for a moment', async (_, write) => {
    const dir = await temporaryFolder()
    await mkdir(join(dir, '.ssh'))
    await symlink(join(dir, '.ssh'), join(dir, 'keys'))
    await writeFile(join(dir, '.ssh', 'made'), `${line(1)}\n${HEAD}`)
    const before = await stat(join(dir, '.ssh'), { bigint: true })
    await expect(write(join(dir, 'keys', 'made'))).rejects.toMatchObject({ code: 'foreign' })
    await expect(addAuthorizedLine(join(dir, 'keys', 'new'), line(1))).rejects.toMatchObject({ code: 'foreign' })
    expect((await stat(join(dir, '.ssh'), { bigint: true })).mtimeNs).toBe(before.mtimeNs)
  })

  test('what is so already is no error', async () => {
    const file = await fileWith(`${line(1)}\n@revoked ${line(2)}\n`)
    expect(await addAuthorizedLine(file, line(1))).toBe('present')
    expect(await removeAuthorizedKeys(file, new Set([author(3)]))).toEqual(new Set())
    expect(await revokeAuthorizedKeys(file, new Map([[author(2), undefined]]))).toEqual(new Set())
  })
})

test('bytes that are not UTF-8 are not lost: such a file is not changed', async () => {
  const file = await fileWith('')
  const bytes = Buffer.concat([Buffer.from(HEAD), Buffer.from([0x23, 0xe9, 0x0a])])
  await writeFile(file, bytes)
  await expect(addAuthorizedLine(file, line(1))).rejects.toMatchObject({ code: 'encoding', message: expect.stringContaining('UTF-8') })
  expect(await readFile(file)).toEqual(bytes)
})

test('a line is not added where the file would grant nothing for its length', async () => {
  const file = await fileWith(HEAD + '#\n'.repeat(MAX_KEY_LINES - 2))
  await expect(addAuthorizedLine(file, line(1))).rejects.toMatchObject({ code: 'size' })
})

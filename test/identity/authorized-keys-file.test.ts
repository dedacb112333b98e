import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addAuthorizedLine } from '../../src/identity/authorized-keys-edit.ts'
import { MADE_BY_PINSUB, othersMayWrite, readAuthorizedKeys } from '../../src/identity/authorized-keys-file.ts'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { author, line, temporaryFolder } from './folder.ts'

const newFile = async () => join(await temporaryFolder(), 'authorized_keys')

describe('adding a line', () => {
  test('makes the file, 0600, and then adds to it', async () => {
    const file = await newFile()
    expect(await addAuthorizedLine(file, line(1))).toBe('added')
    expect(await addAuthorizedLine(file, `ops="pin" ${line(2)}\n`)).toBe('added')
    expect(await addAuthorizedLine(file, line(1, 'again'))).toBe('present')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const { grants, problems } = await readAuthorizedKeys(file)
    expect({ authors: [...grants.keys()], rights: grants.get(author(2))?.rights, problems }).toEqual({
      authors: [author(1), author(2)],
      rights: ['pin'],
      problems: []
    })
  })

  test('keeps mode, comments and lines that it does not understand', async () => {
    const file = await newFile()
    const before = `${MADE_BY_PINSUB} long ago\n\n# mine\nno-pty ${line(3)}\nssh-rsa AAAA`
    await writeFile(file, before, { mode: 0o644 })
    await addAuthorizedLine(file, line(1))
    expect(await readFile(file, 'utf8')).toBe(`${before}\n${line(1)}\n`)
    expect((await stat(file)).mode & 0o777).toBe(0o644)
    expect(await readdir(join(file, '..'))).toEqual(['authorized_keys'])
  })

  test('many at once: none is lost', async () => {
    const file = await newFile()
    const numbers = Array.from({ length: 20 }, (_, i) => i + 1)
    await Promise.all(numbers.map((n) => addAuthorizedLine(file, line(n))))
    expect((await readAuthorizedKeys(file)).grants.size).toBe(20)
  })

  test('through a symlink changes what it points to', async () => {
    const dir = await temporaryFolder()
    await addAuthorizedLine(join(dir, 'real'), line(1))
    await symlink('real', join(dir, 'link'))
    await addAuthorizedLine(join(dir, 'link'), line(2))
    expect((await readAuthorizedKeys(join(dir, 'real'))).grants.size).toBe(2)
  })

  test('leaves files of others alone', async () => {
    const dir = await temporaryFolder()
    await mkdir(join(dir, '.ssh'))
    await writeFile(join(dir, 'theirs'), `${line(1)}\n`)
    await addAuthorizedLine(join(dir, 'ours'), line(1))
    await symlink(join(dir, '.ssh'), join(dir, 'ssh'))
    await writeFile(join(dir, '.ssh', 'made'), `${MADE_BY_PINSUB}\n`)
    for (const name of ['.ssh/authorized_keys', '.ssh/made', 'ssh/made', 'theirs']) {
      await expect(addAuthorizedLine(join(dir, name), line(2))).rejects.toMatchObject({ name: 'IdentityError', code: 'foreign' })
    }
    expect(await readdir(join(dir, '.ssh'))).toEqual(['made'])
    expect(await readFile(join(dir, 'theirs'), 'utf8')).toBe(`${line(1)}\n`)
  })

  test('refuses a key that the file revokes, and a line that would grant nothing', async () => {
    const file = await newFile()
    await writeFile(file, `${MADE_BY_PINSUB}\n@revoked ${line(1)}\n`, { mode: 0o600 })
    await expect(addAuthorizedLine(file, line(1))).rejects.toMatchObject({ code: 'revoked', message: expect.stringContaining(`${file}:2`) })
    await expect(addAuthorizedLine(file, `no-pty ${line(2)}`)).rejects.toMatchObject({ name: 'InvalidTextError' })
    await expect(addAuthorizedLine(file, `${line(2)}\n${line(3)}`)).rejects.toMatchObject({ name: 'InvalidTextError' })
    expect((await readAuthorizedKeys(file)).grants.size).toBe(0)
  })
})

describe('a file that counts for nothing is named', () => {
  test.each([0o602, 0o646, 0o666])('mode %o', async (mode) => {
    const file = await newFile()
    await writeFile(file, `${line(1)}\n`)
    await chmod(file, mode)
    await expect(readAuthorizedKeys(file)).rejects.toMatchObject({
      code: 'permissions',
      message: expect.stringContaining(`chmod go-w ${file}`)
    })
  })

  test('missing, empty, a folder, too large', async () => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, 'empty'), '')
    await writeFile(join(dir, 'large'), 'x'.repeat(5_000_000))
    await expect(readAuthorizedKeys(join(dir, 'none'))).rejects.toMatchObject({ code: 'missing' })
    await expect(readAuthorizedKeys(join(dir, 'empty'))).rejects.toMatchObject({ code: 'empty' })
    await expect(readAuthorizedKeys(dir)).rejects.toMatchObject({ code: 'unreadable' })
    await expect(readAuthorizedKeys(join(dir, 'large'))).rejects.toMatchObject({ code: 'size' })
  })

  test.each([
    [0o644, 1000, 1000, false],
    [0o664, 1000, 1000, false],
    [0o664, 1000, 100, true],
    [0o664, 0, 0, true],
    [0o646, 1000, 1000, true]
  ])('mode %o of user %i and group %i: others may write: %s', (mode, uid, gid, others) => {
    expect(othersMayWrite(mode, uid, gid)).toBe(others)
  })
})

test('the example in keys/ grants nothing as it is, and every line of it works once its # is gone', async () => {
  const text = await readFile(new URL('../../keys/authorized_keys', import.meta.url), 'utf8')
  const asItIs = parseAuthorizedKeys(text)
  expect({ grants: asItIs.grants.size, problems: asItIs.problems }).toEqual({ grants: 0, problems: [] })
  const used = parseAuthorizedKeys(text.replace(/^#(?=\S)/gm, ''))
  expect({ problems: used.problems, grants: used.grants.size, revoked: used.revoked.size }).toEqual({ problems: [], grants: 4, revoked: 1 })
})

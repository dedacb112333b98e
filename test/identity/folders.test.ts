import { mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exists, makeFolder } from '../../src/identity/folders.ts'
import { temporaryFolder } from './folder.ts'

test('a folder is made with those above it, private, and a second time is none', async () => {
  const dir = join(await temporaryFolder(), 'a', 'b', 'c')
  expect(await makeFolder(dir)).toBe(true)
  expect(await makeFolder(dir)).toBe(false)
  for (const path of [dir, join(dir, '..'), join(dir, '..', '..')]) expect((await stat(path)).mode & 0o777).toBe(0o700)
})

test('several at a time make it once', async () => {
  const dir = join(await temporaryFolder(), 'a', 'b', 'c')
  const made = await Promise.all([1, 2, 3, 4].map(() => makeFolder(dir)))
  expect(made.filter(Boolean)).toHaveLength(1)
})

test('a link to a folder is one; a file, or a link to nowhere, is in the way and named', async () => {
  const dir = await temporaryFolder()
  await mkdir(join(dir, 'real'))
  await symlink('real', join(dir, 'link'))
  await symlink('none', join(dir, 'astray'))
  await writeFile(join(dir, 'file'), '')
  expect(await makeFolder(join(dir, 'link'))).toBe(false)
  for (const name of ['file', 'file/x', 'file/x/y', 'astray']) {
    const message = `cannot make the folder ${join(dir, name)}: a file is in the way`
    await expect(makeFolder(join(dir, name))).rejects.toMatchObject({ name: 'IdentityError', code: 'unreadable', message })
  }
  expect([await exists(join(dir, 'astray')), await exists(join(dir, 'none'))]).toEqual([true, false])
})

test.runIf(process.platform === 'linux')('where none can be made, as below /proc, it ends with an error', async () => {
  await expect(makeFolder('/proc/pinsub/home')).rejects.toMatchObject({
    name: 'IdentityError',
    message: 'cannot make the folder /proc/pinsub: nothing can be made there'
  })
})

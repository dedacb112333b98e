import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { requireOwnHome } from '../../src/identity/own-home.ts'
import { temporaryFolder } from './folder.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('SKIPPED: not root: homes of other users are not tested')

/** A home with a config.json, as pinsub makes it. */
async function makeHome(): Promise<{ dir: string; config: string }> {
  const dir = join(await temporaryFolder(), 'home')
  const config = join(dir, 'config.json')
  await mkdir(dir, { mode: 0o700 })
  await writeFile(config, '{}', { mode: 0o600 })
  return { dir, config }
}

const refused = (path: string, text: RegExp) =>
  expect.objectContaining({ name: 'IdentityError', code: 'permissions', file: path, message: expect.stringMatching(text) })

test('one of our own is used, also before it is there, and behind a link', async () => {
  const { dir, config } = await makeHome()
  const link = join(await temporaryFolder(), 'link')
  await symlink(dir, link)
  await requireOwnHome(dir, config, true)
  await requireOwnHome(link, join(link, 'config.json'), true)
  await requireOwnHome(join(dir, 'none'), join(dir, 'none', 'config.json'), false)
  await chmod(config, 0o644)
  await requireOwnHome(dir, config, false)
})

describe.skipIf(process.platform === 'win32')('one that others may change is not, and says what to do', () => {
  test.each([0o777, 0o1777, 0o702])('its folder has mode %o', async (mode) => {
    const { dir, config } = await makeHome()
    await chmod(dir, mode)
    await expect(requireOwnHome(dir, config, false)).rejects.toEqual(refused(dir, /can be changed by others .*: chmod go-w /))
  })

  test.each([0o602, 0o666])('its config.json has mode %o', async (mode) => {
    const { dir, config } = await makeHome()
    await chmod(config, mode)
    await expect(requireOwnHome(dir, config, false)).rejects.toEqual(refused(config, /can be changed by others .*: chmod go-w /))
  })

  test('behind a link', async () => {
    const { config } = await makeHome()
    const at = await temporaryFolder()
    await chmod(config, 0o666)
    await symlink(config, join(at, 'config.json'))
    await expect(requireOwnHome(at, join(at, 'config.json'), false)).rejects.toEqual(refused(join(at, 'config.json'), /can be changed/))
  })

  test('a config.json with a secret that others may read', async () => {
    const { dir, config } = await makeHome()
    await chmod(config, 0o644)
    await expect(requireOwnHome(dir, config, true)).rejects.toEqual(refused(config, /holds kubo-authorization .*: chmod 600 /))
  })
})

test.skipIf(!isRoot).each(['dir', 'config'] as const)("another user's %s is refused, root's own is not", async (which) => {
  const { dir, config } = await makeHome()
  const path = which === 'dir' ? dir : config
  await chown(path, 65_534, 65_534)
  await expect(requireOwnHome(dir, config, false)).rejects.toEqual(refused(path, /belongs to another user \(uid 65534\).*: chown 0 /))
})

import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSwarmKey } from '../../src/identity/swarm-key-file.ts'
import { formatSwarmKey } from '../../src/protocol/swarm-key.ts'
import { temporaryFolder } from './folder.ts'

test('a swarm key is read while it is private, and named with the way out where it cannot be used', async () => {
  const path = join(await temporaryFolder(), 'swarm.key')
  await expect(readSwarmKey(path)).rejects.toMatchObject({ code: 'missing', message: `there is no swarm key ${path}` })
  const key = new Uint8Array(32).fill(7)
  await writeFile(path, formatSwarmKey(key), { mode: 0o600 })
  expect(await readSwarmKey(path)).toEqual(key)
  await chmod(path, 0o640)
  await expect(readSwarmKey(path)).rejects.toMatchObject({ code: 'permissions', message: expect.stringContaining(`chmod 600 ${path}`) })
  await chmod(path, 0o600)
  await writeFile(path, 'secret words\n')
  const failure = (await readSwarmKey(path).catch((err: unknown) => err)) as Error
  expect(failure).toMatchObject({ name: 'IdentityError', code: 'key', message: expect.stringContaining(`${path} is no swarm key`) })
  expect(failure.message).not.toContain('secret words')
})

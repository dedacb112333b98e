import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { freshHostKey, hostSigner, loadHostKey } from '../../src/identity/host-key.ts'
import { verifySignature } from '../../src/protocol/signature.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { temporaryFolder } from './folder.ts'

test('is made on first use with its folder, and is the same from then on', async () => {
  const path = join(await temporaryFolder(), 'node', 'host_key')
  const first = await loadHostKey(path)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700)
  expect((await loadHostKey(path)).raw).toEqual(first.raw)
})

test('two at once get the same key', async () => {
  const path = join(await temporaryFolder(), 'host_key')
  const keys = await Promise.all([1, 2, 3, 4].map(() => loadHostKey(path)))
  expect(new Set(keys.map((key) => peerIdFromPrivateKey(key).toString())).size).toBe(1)
})

test('a damaged or readable key is refused and never replaced', async () => {
  const path = join(await temporaryFolder(), 'host_key')
  await writeFile(path, '', { mode: 0o600 })
  await expect(loadHostKey(path)).rejects.toMatchObject({ name: 'IdentityError', code: 'key' })
  expect(await readFile(path, 'utf8')).toBe('')
  await chmod(path, 0o644)
  await expect(loadHostKey(path)).rejects.toMatchObject({ code: 'permissions' })
})

test('its signer signs as the peer id', async () => {
  const key = await freshHostKey()
  const signer = hostSigner(key)
  const message = new TextEncoder().encode('here')
  expect(nodeIdOf(signer.blob)).toBe(peerIdFromPrivateKey(key).toString())
  expect(verifySignature(signer.blob, 'pinsub-presence', message, await signer.sign('pinsub-presence', message))).toBe(true)
  expect((await freshHostKey()).raw).not.toEqual(key.raw)
})

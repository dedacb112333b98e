import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addContact, addKnownNodes, distrustKnownNodes, readKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { publicKeyOfSeed } from '../../src/protocol/signature.ts'
import { keyBlob, nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { temporaryFolder } from './folder.ts'

const node = (n: number) => nodeIdOf(keyBlob(publicKeyOfSeed(new Uint8Array(32).fill(n))))

test('a missing file knows no nodes, and is made by the first that are added', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  expect((await readKnownNodes(file)).nodes.size).toBe(0)
  expect(
    await addKnownNodes(
      file,
      new Map([
        [node(1), 'berlin'],
        [node(2), '']
      ])
    )
  ).toEqual([node(1), node(2)])
  expect([...(await readKnownNodes(file)).nodes]).toEqual([
    [node(1), 'berlin'],
    [node(2), '']
  ])
  expect((await stat(file)).mode & 0o022).toBe(0)
})

test('adding keeps order, comments and mode, and adds only what is new', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  const before = `# mine\n${node(2)} two\nwhat is this\n${node(1)}`
  await writeFile(file, before, { mode: 0o600 })
  expect(
    await addKnownNodes(
      file,
      new Map([
        [node(1), 'x'],
        [node(3), 'three\nlines']
      ])
    )
  ).toEqual([node(3)])
  expect(await addKnownNodes(file, new Map([[node(3), '']]))).toEqual([])
  expect(await readFile(file, 'utf8')).toBe(`${before}\n${node(3)} three\uFFFDlines\n`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await readKnownNodes(file)).problems).toEqual([{ line: 3, message: expect.stringContaining('what') }])
})

test('many at once: none is lost', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  await Promise.all(Array.from({ length: 20 }, (_, i) => addKnownNodes(file, new Map([[node(i + 1), '']]))))
  expect((await readKnownNodes(file)).nodes.size).toBe(20)
})

test('what is no peer id is refused and nothing is written', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  await expect(
    addKnownNodes(
      file,
      new Map([
        [node(1), ''],
        ['QmNope', '']
      ])
    )
  ).rejects.toMatchObject({ name: 'InvalidTextError' })
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
  await mkdir(file)
  await expect(readKnownNodes(file)).rejects.toMatchObject({ name: 'IdentityError', code: 'unreadable' })
})

test('distrusting takes lines away, keeps the rest, and may be done again', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  expect(await distrustKnownNodes(file, new Set([node(1)]), '2026-11-28')).toEqual([])
  await writeFile(file, `# mine\n${node(1)} one\n${node(2)}`)
  await chmod(file, 0o600)
  expect(await distrustKnownNodes(file, new Set([node(1), node(3)]), '2026-11-28')).toEqual([node(1)])
  expect(await distrustKnownNodes(file, new Set([node(1)]), '2026-11-29')).toEqual([])
  expect(await readFile(file, 'utf8')).toBe(
    `# mine\n${node(2)}\n# distrusted 2026-11-28 ${node(1)} one\n# distrusted 2026-11-28 ${node(3)}\n`
  )
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('of two that answer at one address at once only one is trusted', async () => {
  const file = join(await temporaryFolder(), 'known_nodes')
  const kinds = await Promise.all([1, 2, 3].map(async (n) => (await addContact(file, node(n), '203.0.113.1:4101', '2026-11-28')).kind))
  expect(kinds.toSorted()).toEqual(['changed', 'changed', 'first'])
  expect((await readKnownNodes(file)).nodes.size).toBe(1)
})

import { createHash } from 'node:crypto'
import { mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes that are the same on every machine. */
export function bytesOf(seed: string, length: number): Uint8Array {
  return createHash('shake256', { outputLength: length }).update(seed).digest()
}

async function fill(dir: string, files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(dir, name, '..'), { recursive: true })
    await writeFile(join(dir, name), content)
  }
}

/** A tree made in an empty folder; `at` is what is imported, below it. */
export interface Tree {
  readonly name: string
  readonly make: (dir: string) => Promise<void>
  readonly at?: string
  readonly hidden?: boolean
}

/** Trees whose CIDs are compared with Kubo's. */
export const TREES: readonly Tree[] = [
  { name: 'empty folder', make: async () => undefined },
  { name: 'empty file', make: (dir) => fill(dir, { f: '' }), at: 'f' },
  { name: 'small file', make: (dir) => fill(dir, { f: 'hello\n' }), at: 'f' },
  { name: 'file of exactly one chunk', make: (dir) => fill(dir, { f: bytesOf('one', 262_144) }), at: 'f' },
  { name: 'file of one chunk and a byte', make: (dir) => fill(dir, { f: bytesOf('one+', 262_145) }), at: 'f' },
  { name: 'file of 175 chunks', make: (dir) => sparse(join(dir, 'f'), 174 * 262_144 + 1), at: 'f' },
  { name: 'file of 350 different chunks', make: (dir) => fill(dir, { f: bytesOf('many', 349 * 262_144 + 77) }), at: 'f' },
  {
    name: 'nested folders',
    make: async (dir) => {
      await fill(dir, { 'a/b/c/deep.txt': 'deep', 'a/x': 'x', 'z.bin': bytesOf('z', 600_000), 'a/b/dup': 'x' })
      await mkdir(join(dir, 'a/empty'))
    }
  },
  {
    name: 'unicode names',
    make: (dir) => fill(dir, { 'größe.txt': '1', '日本/語': '2', '🎉': '3', 'e\u0301': '4', é: '5', ' sp ace ': '6', 'a%2Fb': '7' })
  },
  { name: 'hidden left out', make: hiddenTree },
  { name: 'hidden taken', make: hiddenTree, hidden: true },
  { name: 'hidden folder named itself', make: hiddenTree, at: '.d' },
  {
    name: 'links',
    make: async (dir) => {
      await fill(dir, { 'real/file': 'content' })
      await symlink('real/file', join(dir, 'to-file'))
      await symlink('real', join(dir, 'to-folder'))
      await symlink('nowhere/at/all', join(dir, 'dangling'))
      await symlink('/absolute/größe', join(dir, 'absolute'))
      await symlink('.', join(dir, 'real/loop'))
    }
  },
  { name: 'a link itself', make: (dir) => symlink('target', join(dir, 'l')), at: 'l' },
  { name: '5,000 long names', make: (dir) => manyFiles(dir, 5_000, 60) },
  { name: '3,000 subfolders', make: (dir) => manyFolders(dir, 3_000, 70), at: '' },
  { name: 'sharded below another folder', make: (dir) => manyFiles(join(dir, 'x/y'), 4_000, 50) },
  // name + CID (36 bytes) each: 262,144 = 2,048 × 128, so these are at, just below and just above the border.
  { name: 'folder at the border of a HAMT', make: (dir) => manyFiles(dir, 2_048, 92) },
  { name: 'folder below the border of a HAMT', make: (dir) => manyFiles(dir, 2_047, 92) },
  { name: 'folder above the border of a HAMT', make: (dir) => manyFiles(dir, 2_049, 92) }
]

async function hiddenTree(dir: string): Promise<void> {
  await fill(dir, { '.d/seen': 'a', '.d/.e': 'b', '.f': 'c', 'g/.h': 'd', 'g/i': 'e' })
}

async function manyFiles(dir: string, count: number, length: number): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (let i = 0; i < count; i++) await writeFile(join(dir, `${i}`.padStart(length, 'n')), `${i % 100}`)
}

async function manyFolders(dir: string, count: number, length: number): Promise<void> {
  for (let i = 0; i < count; i++) await mkdir(join(dir, `${i}`.padStart(length, 'd')))
}

async function sparse(file: string, length: number): Promise<void> {
  const handle = await open(file, 'w')
  await handle.truncate(length)
  await handle.close()
}

import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync } from 'node:fs'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { importPath } from '../../src/content/import.ts'
import { measure } from '../../src/content/scan.ts'
import { createTemporaryContent } from '../../src/content/temporary.ts'
import { makeContentHome } from '../support/content-home.ts'
import { makeHost } from '../support/libp2p.ts'
import { bytesOf, TREES, type Tree } from './trees.ts'

/** What `ipfs add -r --cid-version=1` of Kubo 0.44 gives for {@link TREES}. */
const CIDS: Record<string, string> = {
  'empty folder': 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354',
  'empty file': 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
  'small file': 'bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am',
  'file of exactly one chunk': 'bafkreidp3a5p5mxbrxvjj5aoqsfw7se6o6bklxdbo7hn64geatso56drnm',
  'file of one chunk and a byte': 'bafybeifdg3knj7vkb77sjpw5msi24bcf46ee7xqqawmhzl3ld4e7pcal6m',
  'file of 175 chunks': 'bafybeihqwzd3o6q6v3pmwhzjy22vokhr767burokmqemg63hptx2nqd7ym',
  'file of 350 different chunks': 'bafybeihofz7ulpyaz5brh2ugulz7u7du6doh7j4z3vhbcddounsftzuvla',
  'nested folders': 'bafybeihwstn5dxbd4bkm72hnejmvfazlunfnkjqcz6l4qhzspz4xosw724',
  'unicode names': 'bafybeidishckzl6khxo62vsipwh3jdi5biab6hw7wdi5e5hsam6vs7y54a',
  'hidden left out': 'bafybeihpncpzxwltwrnhb6mxoq4ae3wcsxarncha4o35oafrqw7c5vkh7y',
  'hidden taken': 'bafybeigzqagzguqzjjhuub47ynhrox6qm2o4vahkvo7dj7as5yulaszmse',
  'hidden folder named itself': 'bafybeib3dboifrdj6ea7qhddyldhmtrwxz7og3tvyrrbyr5cyo7qxbqtym',
  links: 'bafybeia6r2khnbyafnrnr2cshkw2oaw7nkrkjzsnqjgreoh6dqwkigtrcy',
  'a link itself': 'bafybeigisnhcd6tqu22qmi3u3iy53vppeg3gbul7ibw54egea244dx6cjq',
  '5,000 long names': 'bafybeicqjamsinwmwckql6pkd6qfcxpjntjtngzldonxomrzonva5h7g4y',
  '3,000 subfolders': 'bafybeihq3sk2ucrigpujgsvylwrbihzy66zmz3czu4es5ypxe5asex6pmu',
  'sharded below another folder': 'bafybeih3hhehoycek73ph3ix6xpwm4qcimckziespbusaz6rdfn7lo3tua',
  'folder at the border of a HAMT': 'bafybeidwkp2yj4bj6g2jr7cqxsp35chk2wapz2slzi4hmlsuyaiqe4hey4',
  'folder below the border of a HAMT': 'bafybeialx6l7erjs6owgl4xvrdca66cetwaboap77zdfd254trkuyq57me',
  'folder above the border of a HAMT': 'bafybeidfyp7prfgzg2onefpxktmnub5ql3k2crrusvzzqj2cwqgbkplllu'
}

const { signal } = new AbortController()
const nowhere = { put: (cid: CID) => cid }

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-import-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function importTree(tree: Tree): Promise<string> {
  await tree.make(dir)
  const { cid } = await importPath(join(dir, tree.at ?? ''), { hidden: tree.hidden ?? false, signal }, nowhere)
  return cid.toString()
}

describe('gives the CIDs that Kubo gives', { timeout: 60_000 }, () => {
  test.each(TREES)('$name', async (tree) => {
    expect(await importTree(tree)).toBe(CIDS[tree.name])
  })
})

const ipfs = process.env['PINSUB_TEST_IPFS'] ?? 'ipfs'
const hasIpfs = spawnSync(ipfs, ['version']).status === 0
if (!hasIpfs) console.warn('SKIPPED: no `ipfs` on PATH and no PINSUB_TEST_IPFS: imports are compared with recorded CIDs only')

describe.skipIf(!hasIpfs)('gives the CIDs that the installed ipfs gives', { timeout: 120_000 }, () => {
  test.each(TREES)('$name', async (tree) => {
    const repo = mkdtempSync(join(tmpdir(), 'pinsub-ipfs-'))
    try {
      const env = { ...process.env, IPFS_PATH: repo }
      execFileSync(ipfs, ['init', '--profile=test'], { env, stdio: 'ignore' })
      const cid = await importTree(tree)
      const hidden = tree.hidden === true ? ['-H'] : []
      const args = ['add', '-r', '--only-hash', '--cid-version=1', '-Q', ...hidden, join(dir, tree.at ?? '')]
      expect(cid).toBe(
        execFileSync(ipfs, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
          .toString()
          .trim()
      )
    } finally {
      await rm(repo, { recursive: true, force: true })
    }
  })
})

describe('what cannot be imported is named', () => {
  test('a path that does not exist', async () => {
    await expect(importPath(join(dir, 'absent'), { hidden: false, signal }, nowhere)).rejects.toMatchObject({
      code: 'not-found',
      message: `${join(dir, 'absent')} does not exist`
    })
  })

  test.skipIf(process.getuid?.() === 0)('a file that must not be read', async () => {
    await writeFile(join(dir, 'secret'), 'x')
    await chmod(join(dir, 'secret'), 0)
    await expect(importPath(dir, { hidden: false, signal }, nowhere)).rejects.toThrow(
      `cannot read ${join(dir, 'secret')}: permission denied`
    )
  })

  test('a pipe', async () => {
    execFileSync('mkfifo', [join(dir, 'pipe')])
    await expect(importPath(dir, { hidden: false, signal }, nowhere)).rejects.toThrow(`${join(dir, 'pipe')} is neither`)
  })

  test('a file that grows meanwhile', async () => {
    const file = join(dir, 'log')
    await writeFile(file, bytesOf('log', 600_000))
    const growing = importPath(dir, { hidden: false, signal, onProgress: () => appendFileSync(file, 'more') }, nowhere)
    await expect(growing).rejects.toThrow(`${file} changed while it was read`)
  })

  test('an abort ends it with its reason', async () => {
    await writeFile(join(dir, 'big'), bytesOf('big', 3_000_000))
    const controller = new AbortController()
    const importing = importPath(
      dir,
      { hidden: false, signal: controller.signal, onProgress: () => controller.abort(new Error('stop')) },
      nowhere
    )
    await expect(importing).rejects.toThrow('stop')
  })
})

test('counts what it reads', async () => {
  await mkdir(join(dir, 'a'))
  await writeFile(join(dir, 'a/one'), bytesOf('one', 300_000))
  await writeFile(join(dir, 'two'), 'two')
  await writeFile(join(dir, '.three'), 'three')
  const seen: number[] = []
  const imported = await importPath(dir, { hidden: false, signal, onProgress: ({ bytes }) => void seen.push(bytes) }, nowhere)
  expect(imported).toMatchObject({ files: 2, bytes: 300_003, blocks: 6 })
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.at(-1)).toBe(300_003)
  expect(await measure(dir, { hidden: false, signal })).toEqual({ files: 2, others: 2, bytes: 300_003 })
  expect(await measure(dir, { hidden: true, signal })).toEqual({ files: 3, others: 2, bytes: 300_008 })
})

test('temporary content is served by a host that listens nowhere, and is gone at the end', async () => {
  await using home = await makeContentHome()
  const sender = await makeHost({ listen: false })
  const parent = join(dir, 'parent')
  await mkdir(parent)
  await mkdir(join(dir, 'site'))
  await writeFile(join(dir, 'site/page'), bytesOf('page', 1_000_000))
  const temporary = createTemporaryContent({ parent }, { libp2p: sender })
  await temporary.start()
  try {
    const { cid, blocks } = await temporary.import(join(dir, 'site'), { hidden: false, signal })
    await sender.dial(home.libp2p.getMultiaddrs())
    await home.content.pin(cid, { signal: AbortSignal.timeout(10_000) })
    expect(await home.content.verify(cid, { signal })).toMatchObject({ blocks, missing: 0, corrupt: 0 })
  } finally {
    await temporary.stop()
    await sender.stop()
  }
  expect(await readdir(parent)).toEqual([])
})

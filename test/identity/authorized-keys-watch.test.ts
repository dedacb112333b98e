import { appendFile, chmod, mkdir, open, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { IdentityError } from '../../src/identity/errors.ts'
import { watchAuthorizedKeys } from '../../src/identity/authorized-keys-watch.ts'
import { systemClock } from '../../src/network/clock.ts'
import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { author, line, temporaryFolder } from './folder.ts'

/** How long a change may take until it is in force; the promise is a second, the rest is for a busy machine. */
const SOON = { timeout: 5_000, interval: 10 }

async function watching(file: string, extraLines: readonly string[] = []) {
  const changes: AuthorizedKeys[] = []
  const problems: (IdentityError | undefined)[] = []
  const watch = watchAuthorizedKeys(
    { file, extraLines },
    { clock: systemClock, onChange: (keys) => changes.push(keys), onProblem: (problem) => problems.push(problem) }
  )
  onTestFinished(() => watch.stop())
  const first = await watch.start()
  const now = () => changes.at(-1) ?? first
  const authors = () => [...now().grants.keys()]
  return {
    watch,
    first,
    changes,
    problems,
    now,
    authors,
    sees: (...numbers: number[]) => vi.waitFor(() => expect(authors()).toEqual(numbers.map(author)), SOON)
  }
}

async function fileWith(...numbers: number[]) {
  const dir = await temporaryFolder()
  const file = join(dir, 'authorized_keys')
  await writeFile(file, numbers.map((n) => `${line(n)}\n`).join(''), { mode: 0o600 })
  return { dir, file }
}

const text = (...numbers: number[]) => numbers.map((n) => `${line(n)}\n`).join('')

describe('a change is in force within a second, and no transient state ever is', () => {
  test('rewritten in place', async () => {
    const { file } = await fileWith(1)
    const { sees, changes } = await watching(file)
    await writeFile(file, text(1, 2))
    await sees(1, 2)
    expect(changes).toHaveLength(1)
  })

  test('appended to', async () => {
    const { file } = await fileWith(1)
    const { sees } = await watching(file)
    await appendFile(file, text(2))
    await sees(1, 2)
  })

  test('replaced by a rename, as editors do, again and again', async () => {
    const { dir, file } = await fileWith(1)
    const { sees, changes } = await watching(file)
    for (const n of [2, 3, 4]) {
      await writeFile(join(dir, '4913'), text(n), { mode: 0o600 })
      await rename(file, `${file}~`)
      await rename(join(dir, '4913'), file)
      await sees(n)
    }
    expect(changes).toHaveLength(3)
  })

  test('deleted and made again', async () => {
    const { file } = await fileWith(1)
    const { sees, changes, problems } = await watching(file)
    await rm(file)
    await sleep(300)
    await writeFile(file, text(2), { mode: 0o600 })
    await sees(2)
    expect({ changes: changes.length, problems }).toEqual({ changes: 1, problems: [] })
  })

  test('emptied, then written slowly', async () => {
    const { file } = await fileWith(1)
    const { sees, changes, problems } = await watching(file)
    const handle = await open(file, 'w')
    await sleep(400)
    await handle.write(text(2))
    await sleep(50)
    await handle.write(text(3))
    await handle.close()
    await sees(2, 3)
    expect({ changes: changes.length, problems }).toEqual({ changes: 1, problems: [] })
  })

  test('rewritten all the time: never seen empty, never starved', async () => {
    const { file } = await fileWith(1, 2)
    const { changes, problems, sees } = await watching(file)
    const start = performance.now()
    for (let n = 0; changes.length < 3 || performance.now() - start < 2_000; n++) {
      expect(performance.now() - start).toBeLessThan(20_000)
      await writeFile(file, `${text(1, 2, 3)}# ${n}\n`)
    }
    await writeFile(file, text(1, 2, 5))
    await sees(1, 2, 5)
    for (const { grants } of changes) expect(grants.size).toBe(3)
    expect(problems).toEqual([])
  })

  test('deleted and made again all the time: never seen missing', async () => {
    const { file } = await fileWith(1)
    const { changes, problems, sees } = await watching(file)
    const end = performance.now() + 2_500
    while (performance.now() < end) {
      await rm(file)
      await writeFile(file, text(1), { mode: 0o600 })
    }
    await writeFile(file, text(2))
    await sees(2)
    expect({ changes: changes.length, problems }).toEqual({ changes: 1, problems: [] })
  })

  test('behind links, as Kubernetes mounts it', async () => {
    const dir = await temporaryFolder()
    for (const n of [1, 2]) {
      await mkdir(join(dir, `..v${n}`))
      await writeFile(join(dir, `..v${n}`, 'authorized_keys'), text(n))
    }
    await symlink('..v1', join(dir, '..data'))
    await symlink('..data/authorized_keys', join(dir, 'authorized_keys'))
    const { sees, authors } = await watching(join(dir, 'authorized_keys'))
    expect(authors()).toEqual([author(1)])
    await symlink('..v2', join(dir, '..data_tmp'))
    await rename(join(dir, '..data_tmp'), join(dir, '..data'))
    await sees(2)
  })

  test('behind a link into another folder, which sends no events', async () => {
    const { file } = await fileWith(1)
    const link = join(await temporaryFolder(), 'authorized_keys')
    await symlink(file, link)
    const { sees } = await watching(link)
    await writeFile(file, text(2))
    await sees(2)
  })

  test('in a folder that is made later, removed, and made again', async () => {
    const dir = join(await temporaryFolder(), 'later')
    const file = join(dir, 'authorized_keys')
    const { sees, first, problems } = await watching(file)
    expect({ size: first.grants.size, code: problems[0]?.code }).toEqual({ size: 0, code: 'missing' })
    for (const n of [1, 2]) {
      await mkdir(dir)
      await writeFile(file, text(n), { mode: 0o600 })
      await sees(n)
      expect(problems.at(-1)).toBeUndefined()
      await rm(dir, { recursive: true })
      await sees()
      expect(problems.at(-1)?.code).toBe('missing')
    }
  })

  test('touched without a change: nobody is told', async () => {
    const { file } = await fileWith(1)
    const { changes, sees } = await watching(file)
    await utimes(file, new Date(), new Date(0))
    await sleep(400)
    await writeFile(file, text(2))
    await sees(2)
    expect(changes).toHaveLength(1)
  })
})

describe('what stays unreadable for a second counts for nothing, with a reason', () => {
  test.each<[string, (file: string) => Promise<unknown>]>([
    ['empty', (file) => truncate(file)],
    ['missing', (file) => rm(file)],
    ['permissions', (file) => chmod(file, 0o666)],
    ['size', (file) => truncate(file, 5_000_000)],
    ['unreadable', async (file) => (await rm(file), await mkdir(file))]
  ])('%s', async (code, spoil) => {
    const { file } = await fileWith(1)
    await appendFile(file, `@revoked ${line(9)}\n`)
    const { sees, problems, changes, now } = await watching(file)
    const since = performance.now()
    await spoil(file)
    await sees()
    expect(performance.now() - since).toBeGreaterThan(950)
    expect(problems).toMatchObject([{ name: 'IdentityError', code, file }])
    expect({ changes: changes.length, revoked: now().revoked }).toEqual({ changes: 1, revoked: new Set([author(9)]) })
    await rm(file, { recursive: true, force: true })
    await writeFile(file, text(2), { mode: 0o600 })
    await sees(2)
    expect(problems.at(-1)).toBeUndefined()
  })

  test('a bad line takes nothing from the others', async () => {
    const { file } = await fileWith(1)
    const { sees, now } = await watching(file)
    await writeFile(file, `no-pty ${line(1)}\n${line(2)}\n`)
    await sees(2)
    expect(now().problems).toEqual([{ line: 1, message: expect.stringContaining('no-pty') }])
  })
})

test('a reload reads at once, an empty file too', async () => {
  const { file } = await fileWith(1)
  const { watch, authors } = await watching(file)
  await writeFile(file, text(2))
  await watch.reload()
  expect(authors()).toEqual([author(2)])
  await truncate(file)
  await watch.reload()
  expect(authors()).toEqual([])
})

describe('extra lines', () => {
  test('count without a file, and after it', async () => {
    const file = join(await temporaryFolder(), 'authorized_keys')
    const { first, sees, now, problems } = await watching(file, [line(1), `ops="pin" ${line(2)}`])
    expect([...first.grants.keys()]).toEqual([author(1), author(2)])
    expect(problems).toEqual([])
    await writeFile(file, `${line(3)}\npinset="site" ${line(1)}\n`, { mode: 0o600 })
    await sees(3, 1, 2)
    expect(now().grants.get(author(1))?.pinsets).toEqual(['site'])
    await writeFile(file, `@revoked ${line(2)}\n`)
    await sees(1)
    await rm(file)
    await vi.waitFor(() => expect(now().lines.size).toBe(0), SOON)
    expect({ authors: [...now().grants.keys()], revoked: now().revoked }).toEqual({ authors: [author(1)], revoked: new Set([author(2)]) })
  })

  test('that are no keys are refused', async () => {
    const file = join(await temporaryFolder(), 'authorized_keys')
    await expect(watching(file, ['nonsense'])).rejects.toMatchObject({ name: 'InvalidTextError' })
  })
})

test('after stop nothing is told', async () => {
  const { file } = await fileWith(1)
  const { watch, changes } = await watching(file)
  await writeFile(file, text(2))
  watch.stop()
  await sleep(800)
  await watch.reload()
  expect(changes).toEqual([])
})

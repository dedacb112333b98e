import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeNewFile } from '../../src/cli/new-file.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-new-file-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Pieces, with something that happens before the second one. */
async function* pieces(between: () => void = () => {}): AsyncGenerator<string> {
  yield 'one\n'
  between()
  yield 'two\n'
}

test('makes a private file of the pieces, which has its name only when it is whole', async () => {
  const file = join(dir, 'file')
  const umask = process.umask(0)
  try {
    await writeNewFile(
      file,
      pieces(() => expect(readdirSync(dir)).not.toContain('file')),
      ''
    )
  } finally {
    process.umask(umask)
  }
  expect([readFileSync(file, 'utf8'), (statSync(file).mode & 0o777).toString(8), readdirSync(dir)]).toEqual(['one\ntwo\n', '600', ['file']])
})

test('never writes over anything, not even over what comes to be meanwhile', async () => {
  const file = join(dir, 'file')
  const taken = { code: 'exists', message: `${file} exists already and is not overwritten`, hint: 'take another', exit: 1 }
  await expect(
    writeNewFile(
      file,
      pieces(() => writeFileSync(file, 'mine')),
      'take another'
    )
  ).rejects.toMatchObject(taken)
  await expect(writeNewFile(file, pieces(), 'take another')).rejects.toMatchObject(taken)
  expect([readFileSync(file, 'utf8'), readdirSync(dir)]).toEqual(['mine', ['file']])
  rmSync(file)
  symlinkSync(join(dir, 'nowhere'), file)
  await expect(writeNewFile(file, pieces(), 'take another')).rejects.toMatchObject(taken)
  expect(readdirSync(dir)).toEqual(['file'])
})

test('when the source ends with an error, that is the error, and nothing is left', async () => {
  const stopped = new DOMException('interrupted', 'AbortError')
  const source = pieces(() => {
    throw stopped
  })
  await expect(writeNewFile(join(dir, 'file'), source, '')).rejects.toBe(stopped)
  expect(readdirSync(dir)).toEqual([])
})

test('a folder that is not there is named', async () => {
  await expect(writeNewFile(join(dir, 'no', 'file'), pieces(), '')).rejects.toMatchObject({
    code: 'file',
    message: `cannot write ${join(dir, 'no', 'file')}: there is no folder ${join(dir, 'no')}`
  })
})

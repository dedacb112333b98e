/** Inputs that a target once failed on, one file each: `test/corpus/TARGET/HASH`. The suite runs them all, for ever. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const CORPUS = new URL('../corpus/', import.meta.url)

/** An input, and where it lies. */
export interface CorpusEntry {
  readonly target: string
  readonly file: string
  readonly input: Uint8Array
}

/** All of them. */
export function readCorpus(): readonly CorpusEntry[] {
  return readdirSync(CORPUS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => {
      const file = `${parentPath}/${name}`
      return { target: parentPath.slice(parentPath.lastIndexOf('/') + 1), file, input: new Uint8Array(readFileSync(file)) }
    })
}

/** Keeps an input; returns its file. */
export function addToCorpus(target: string, input: Uint8Array): string {
  const dir = new URL(`${target}/`, CORPUS)
  mkdirSync(dir, { recursive: true })
  const file = new URL(createHash('sha256').update(input).digest('hex').slice(0, 16), dir)
  writeFileSync(file, input)
  return fileURLToPath(file)
}

/** What the tests of the documentation read and take apart. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The checkout. */
export const ROOT = resolve(import.meta.dirname, '../..')

/** Text of a file, by its path in the checkout. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Files of the checkout that match a glob, installed and built ones left out. */
export function files(glob: string): string[] {
  const found = globSync(glob, { cwd: ROOT, exclude: ['**/node_modules', 'dist'] })
  return found.toSorted((a, b) => a.localeCompare(b))
}

/** A fenced block. */
export interface Block {
  /** What stands behind the opening fence. */
  readonly language: string
  readonly text: string
}

/** The fenced blocks of a Markdown text. */
export function blocks(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }))
}

/** Rows of the table whose first column is headed `heading`, without the head; cells as written. */
export function table(markdown: string, heading: string): string[][] {
  const lines = markdown.split('\n')
  const start = lines.findIndex((line) => cells(line)[0] === heading)
  if (start < 0) throw new Error(`no table with the first column "${heading}"`)
  const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'))
  return lines.slice(start + 2, end < 0 ? undefined : end).map(cells)
}

function cells(line: string): string[] {
  if (!line.startsWith('|')) return []
  return line
    .slice(1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim())
}

/** CIDs from the command line, and from standard input where `-` stands for them. */
import { createInterface } from 'node:readline'
import { parseCid } from '../protocol/cid.ts'
import type { Context } from './context.ts'
import { CliError, EXIT } from './exit.ts'

/**
 * Reads arguments in order; `-` is replaced by the first field of each line of `stdin`, blank and `#` lines skipped.
 * One that is no CID ends it all with a usage error that names it, and its line, with `undone` as the hint: nothing is sent of a list
 * that is wrong.
 */
export async function readCids(
  args: readonly string[],
  { stdin, signal }: Pick<Context, 'stdin' | 'signal'>,
  undone: string
): Promise<string[]> {
  const cids: string[] = []
  for (const arg of args) {
    if (arg === '-') cids.push(...(await readLines(stdin, signal, undone)))
    else cids.push(check(arg, '', undone))
  }
  if (cids.length === 0) throw new CliError(EXIT.usage, 'cid', 'no CID given', 'give CIDs, or - to read them from standard input')
  return cids
}

async function readLines(stdin: NodeJS.ReadableStream, signal: AbortSignal, undone: string): Promise<string[]> {
  const cids: string[] = []
  let number = 0
  for await (const line of createInterface({ input: stdin, crlfDelay: Infinity, signal })) {
    number++
    const [field] = line.trim().split(/\s+/)
    if (field === undefined || field === '' || field.startsWith('#')) continue
    cids.push(check(field, `line ${number}: `, undone))
  }
  // An interrupted list is not the list.
  signal.throwIfAborted()
  return cids
}

function check(text: string, where: string, undone: string): string {
  try {
    parseCid(text)
    return text
  } catch (err) {
    throw new CliError(EXIT.usage, 'cid', `${where}${err instanceof Error ? err.message : String(err)}`, undone)
  }
}

/** `pinsub keys add|remove|revoke`: who may command the node of this home, changed in its file. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { addAuthorizedLine, removeAuthorizedKeys, revokeAuthorizedKeys } from '../../identity/authorized-keys-edit.ts'
import { readAuthorizedKeysText } from '../../identity/authorized-keys-file.ts'
import { IdentityError } from '../../identity/errors.ts'
import { parseAuthorizedKeys, parseKeyLine } from '../../protocol/authorized-keys.ts'
import { InvalidTextError } from '../../protocol/errors.ts'
import type { Grant } from '../../protocol/grants.ts'
import { keyedLines, type KeyedLine } from '../../protocol/key-edit.ts'
import { findKey, joinKeyWords } from '../../protocol/key-lookup.ts'
import type { Author } from '../../protocol/ssh-key.ts'
import { formatOptions } from '../../protocol/state-lines.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'

/** Adds lines to the file. */
export async function add(context: Context, words: readonly string[]): Promise<number> {
  const { output } = context
  const file = fileOf(context)
  const lines = addedLines(words)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  for (const line of lines) {
    const { author, grant } = parseKeyLine(line)
    const added = (await addAuthorizedLine(file, line)) === 'added'
    if (!added) await compareOptions(context, file, grant)
    output.event({ event: 'authorized', line, state: 'active', fingerprint: author, added, changed: added, file })
    output.result(added ? `${author} may command this node (${file})` : `${author} was in ${file} already`)
  }
  await sayWhetherItCounts(context, file)
  return EXIT.ok
}

/** Takes lines out of the file: closes their keys. */
export async function remove(context: Context, words: readonly string[]): Promise<number> {
  const file = fileOf(context)
  const text = await readAuthorizedKeysText(file)
  const keys = namedKeys(file, text, words)
  const gone = await removeAuthorizedKeys(file, new Set(keys.map(({ author }) => author)))
  for (const key of keys) {
    const isRevoked = key.lines.some(({ state }) => state === 'revoked')
    const changed = gone.has(key.author)
    report(context, file, key, isRevoked ? 'revoked' : 'closed', changed)
    const rest = isRevoked ? 'is revoked there, and its @revoked line stays' : 'was gone already'
    context.output.result(`${nameOf(key)} ${changed ? 'is closed: nothing new from it counts, what it said stays' : rest} (${file})`)
    if (context.config.authorize.some((line) => parseKeyLine(line).author === key.author))
      context.output.note(`${key.author} still counts here by --authorize, besides the file: take it out there too`)
  }
  return EXIT.ok
}

/** Puts `@revoked` before lines of the file: voids their keys. */
export async function revoke(context: Context, words: readonly string[]): Promise<number> {
  const file = fileOf(context)
  const text = await readAuthorizedKeysText(file).catch((err: unknown) => {
    if (err instanceof IdentityError && (err.code === 'missing' || err.code === 'empty')) return ''
    throw err
  })
  const keys = namedKeys(file, text, words)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const voided = await revokeAuthorizedKeys(file, new Map(keys.map(({ author, line }) => [author, line])))
  for (const key of keys) {
    const changed = voided.has(key.author)
    report(context, file, key, 'revoked', changed)
    const meaning = changed ? 'is revoked: nothing that it ever said counts; what only it pinned is kept as unowned' : 'was revoked already'
    context.output.result(`${nameOf(key)} ${meaning} (${file})`)
  }
  return EXIT.ok
}

/** A key that somebody named. */
interface NamedKey {
  readonly author: Author
  /** The bare key line, where the key itself was given. */
  readonly line: string | undefined
  /** Its lines in the file, before the change. */
  readonly lines: readonly KeyedLine[]
}

/** The keys that the words name, each once; a usage error that lists what they may mean where that is not one. */
function namedKeys(file: string, text: string, words: readonly string[]): readonly NamedKey[] {
  const all = keyedLines(text)
  const found = joinKeyWords(words).map((word) => {
    const key = findKey(all, word)
    if (key.kind === 'none') throw new CliError(EXIT.usage, 'key', `no key ${JSON.stringify(word)} in ${file}`, listed(file, all))
    if (key.kind === 'several')
      throw new CliError(
        EXIT.usage,
        'key',
        `${JSON.stringify(word)} may mean several keys: say more of the fingerprint`,
        listed(file, key.candidates)
      )
    return { author: key.author, line: key.line, lines: all.filter(({ author }) => author === key.author) }
  })
  return [...Map.groupBy(found, ({ author }) => author).values()].map((same) => ({
    ...(same[0] as NamedKey),
    line: same.find(({ line }) => line !== undefined)?.line
  }))
}

/** Keys that are shown with an error. */
const MAX_LISTED = 20

function listed(file: string, lines: readonly KeyedLine[]): string {
  if (lines.length === 0) return 'it names no key: pinsub keys list'
  const rows = lines.slice(0, MAX_LISTED).map(({ number, author, comment }) => `${file}:${number}: ${author} ${comment}`.trimEnd())
  return [...rows, ...(lines.length > MAX_LISTED ? [`and ${lines.length - MAX_LISTED} more: pinsub keys list`] : [])].join('\n  ')
}

function report({ output }: Context, file: string, { author, lines: [line] }: NamedKey, state: string, changed: boolean): void {
  const place = line === undefined ? {} : { line: line.text, number: line.number, comment: line.comment }
  output.event({ event: 'authorized', ...place, state, fingerprint: author, changed, file })
}

function nameOf({ author, lines: [line] }: NamedKey): string {
  return line === undefined || line.comment === '' ? author : `${author} ${line.comment}`
}

function fileOf({ config, home }: Context): string {
  return config.authorizedKeys ?? home.authorizedKeys
}

/** Each word is a line, or all of them are one that was not quoted. */
function addedLines(words: readonly string[]): readonly string[] {
  const areLines = words.every((word) => {
    try {
      return parseKeyLine(word) !== undefined
    } catch (err) {
      if (err instanceof InvalidTextError) return false
      throw err
    }
  })
  if (areLines) return words
  const joined = words.join(' ')
  // Several quoted lines: the bad one is to be named, and none is added.
  if (words.length > 1 && words.some((word) => /\s/.test(word))) words.forEach(parseKeyLine)
  parseKeyLine(joined)
  return [joined]
}

/** Who adds a key with a limit must not believe that it is limited; one without is only told. */
async function compareOptions({ output }: Context, file: string, wanted: Grant): Promise<void> {
  const { grants, lines } = parseAuthorizedKeys(await readAuthorizedKeysText(file))
  const there = grants.get(wanted.author)
  if (there === undefined || formatOptions(there) === formatOptions(wanted)) return
  const message = `${file}:${lines.get(wanted.author)} lets ${wanted.author} in with other options, and they stay`
  const hint = 'edit that line, or remove it first: pinsub keys remove'
  if (formatOptions(wanted) !== '') throw new CliError(EXIT.local, 'options', message, hint)
  output.note(`${message}: ${hint}`)
}

async function sayWhetherItCounts({ output }: Context, file: string): Promise<void> {
  const problem = await readAuthorizedKeysText(file).then(
    () => undefined,
    (err: unknown) => err
  )
  if (problem instanceof IdentityError) output.note(problem.message)
}

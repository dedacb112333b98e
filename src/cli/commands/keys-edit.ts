/** `pinsub keys add|remove|revoke`: who may command the node of this home, changed in its file. */
import { dirname } from 'node:path'
import { addAuthorizedLine, removeAuthorizedKeys, revokeAuthorizedKeys } from '../../identity/authorized-keys-edit.ts'
import { readAuthorizedKeysText } from '../../identity/authorized-keys-file.ts'
import { IdentityError } from '../../identity/errors.ts'
import { makeFolder } from '../../identity/folders.ts'
import { parseAuthorizedKeys, parseKeyLine } from '../../protocol/authorized-keys.ts'
import type { Grant } from '../../protocol/grants.ts'
import { formatOptions } from '../../protocol/key-options.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { saidByMessage } from '../key-messages.ts'
import { addedLines, nameOf, namedKeys, type NamedKey } from '../key-names.ts'

/** Adds lines to the file. */
export async function add(context: Context, words: readonly string[]): Promise<number> {
  const { output } = context
  const file = fileOf(context)
  const lines = addedLines(words)
  await makeFolder(dirname(file))
  const said = await messagesOn(context, file)
  for (const line of lines) {
    const { author, grant } = parseKeyLine(line)
    const word = said.get(author)
    if (word?.says === 'revoke' || word?.says === 'close') {
      const ended = word.says === 'revoke' ? 'revoked' : 'closed'
      const hint = word.says === 'revoke' ? 'make another key for whoever it was' : 'pinsub keys add … --everywhere lets it in again'
      throw new CliError(
        EXIT.local,
        ended,
        `${author} was ${ended} by message on ${word.at.slice(0, 10)}: a line here changes nothing`,
        hint
      )
    }
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
export async function revoke(
  context: Context,
  words: readonly string[],
  { drop = false }: { readonly drop?: boolean } = {}
): Promise<number> {
  if (drop) throw new CliError(EXIT.usage, 'drop', '--drop lets go on every node, and this changes one file', 'add --everywhere')
  const file = fileOf(context)
  const text = await readAuthorizedKeysText(file).catch((err: unknown) => {
    if (err instanceof IdentityError && (err.code === 'missing' || err.code === 'empty')) return ''
    throw err
  })
  const keys = namedKeys(file, text, words)
  await makeFolder(dirname(file))
  const voided = await revokeAuthorizedKeys(file, new Map(keys.map(({ author, line }) => [author, line])))
  for (const key of keys) {
    const changed = voided.has(key.author)
    report(context, file, key, 'revoked', changed)
    const meaning = changed ? 'is revoked: nothing that it ever said counts; what only it pinned is kept as unowned' : 'was revoked already'
    context.output.result(`${nameOf(key)} ${meaning} (${file})`)
  }
  return EXIT.ok
}

function report({ output }: Context, file: string, { author, lines: [line] }: NamedKey, state: string, changed: boolean): void {
  const place = line === undefined ? {} : { line: line.text, number: line.number, comment: line.comment }
  output.event({ event: 'authorized', ...place, state, fingerprint: author, changed, file })
}

function fileOf({ config, home }: Context): string {
  return config.authorizedKeys ?? home.authorizedKeys
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

/** What messages say of keys, where a node has run in this home. */
async function messagesOn(context: Context, file: string): Promise<ReturnType<typeof saidByMessage>> {
  const text = await readAuthorizedKeysText(file).catch(() => '')
  try {
    return saidByMessage(context, parseAuthorizedKeys(text), Date.now())
  } catch (err) {
    // A state that cannot be read is no reason to keep a key out of the file.
    context.output.note(err instanceof Error ? err.message : String(err))
    return new Map()
  }
}

async function sayWhetherItCounts({ output }: Context, file: string): Promise<void> {
  const problem = await readAuthorizedKeysText(file).then(
    () => undefined,
    (err: unknown) => err
  )
  if (problem instanceof IdentityError) output.note(problem.message)
}

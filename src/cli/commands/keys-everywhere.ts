/** `pinsub keys add|remove|revoke --everywhere`: the same by a signed message, to every node. */
import { readAuthorizedKeysText } from '../../identity/authorized-keys-file.ts'
import { exitOf, sayEverywhere } from '../admin-view.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { count } from '../format.ts'
import { addedLines, nameOf, namedKeys, type NamedKey } from '../key-names.ts'
import { openSender } from '../sender.ts'
import { findUnowned, overPinsets, show, worst } from './adopt.ts'

/** Lets keys in. */
export async function add(context: Context, words: readonly string[]): Promise<number> {
  const lines = addedLines(words)
  await using sender = await openSender(context)
  const requests = lines.map((line) => ({ op: 'authorize', line }) as const)
  return exitOf(await sayEverywhere(sender, requests, context, `${count(lines.length, 'key')} let in`))
}

/** Closes keys. */
export async function remove(context: Context, words: readonly string[]): Promise<number> {
  const keys = await named(context, words)
  await using sender = await openSender(context)
  if (keys.some(({ author }) => author === sender.author))
    context.output.note('This is the key that signs: from now on it commands nothing. To put another in its place: pinsub keys rotate')
  const requests = keys.map(({ author }) => ({ op: 'close', key: author }) as const)
  const done = `${namesOf(keys)} closed: nothing new counts, what was said stays,`
  return exitOf(await sayEverywhere(sender, requests, context, done))
}

/** Voids keys; with `drop` what only they had pinned is let go of, too. */
export async function revoke(context: Context, words: readonly string[], { drop = false }: { readonly drop?: boolean }): Promise<number> {
  const { output } = context
  const keys = await named(context, words)
  await using sender = await openSender(context)
  if (keys.some(({ author }) => author === sender.author)) {
    const hint = 'replace it: pinsub keys rotate; or let a key that stands above it revoke it, or put @revoked before it on each node'
    throw new CliError(EXIT.usage, 'own-key', `${sender.author} is the key that signs: it cannot revoke itself`, hint)
  }
  const requests = keys.map(({ author }) => ({ op: 'revoke', key: author }) as const)
  const outcome = await sayEverywhere(sender, requests, context, `${namesOf(keys)} revoked: nothing that was ever said counts`)
  if (outcome === 'refused') return exitOf(outcome)
  const authors = new Set<string>(keys.map(({ author }) => author))
  const left = await findUnowned(sender, context, ({ author }) => author !== undefined && authors.has(author))
  const cids = [...left.values()].reduce((sum, set) => sum + set.size, 0)
  if (cids === 0) return exitOf(outcome)
  if (!drop) {
    output.note(
      `${count(cids, 'CID')} that only this had pinned stay, unowned. To take them over: pinsub adopt. To let go: the same with --drop.`
    )
    return exitOf(outcome)
  }
  const dropped = await overPinsets(left, (pinset, some) => show(context, sender, 'unpin', pinset, some))
  return exitOf(worst([outcome, dropped]))
}

async function named({ config, home }: Context, words: readonly string[]): Promise<readonly NamedKey[]> {
  const file = config.authorizedKeys ?? home.authorizedKeys
  // Comments are those of this home's own file; fingerprints need none.
  const text = await readAuthorizedKeysText(file).catch(() => '')
  return namedKeys(file, text, words)
}

function namesOf(keys: readonly NamedKey[]): string {
  const [only] = keys
  return keys.length === 1 && only !== undefined ? `${nameOf(only)} is` : `${count(keys.length, 'key')} are`
}

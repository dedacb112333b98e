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
  refuseOwn(keys, sender.author, 'close')
  const requests = keys.map(({ author }) => ({ op: 'close', key: author }) as const)
  const done = `${namesOf(keys)} closed: nothing new counts, what was said stays,`
  return exitOf(await sayEverywhere(sender, requests, context, done))
}

/** Voids keys; with `drop` what only they had pinned is let go of, too. */
export async function revoke(context: Context, words: readonly string[], { drop = false }: { readonly drop?: boolean }): Promise<number> {
  const { output } = context
  const keys = await named(context, words)
  await using sender = await openSender(context)
  refuseOwn(keys, sender.author, 'revoke')
  const requests = keys.map(({ author }) => ({ op: 'revoke', key: author }) as const)
  const outcome = await sayEverywhere(sender, requests, context, `${namesOf(keys)} revoked: nothing that it ever said counts`)
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

/** Closing the last admin key by a name that also fits another would take a login on each node to mend. */
function refuseOwn(keys: readonly NamedKey[], own: string, verb: 'close' | 'revoke'): void {
  if (keys.every(({ author }) => author !== own)) return
  const hint = 'replace it: pinsub keys rotate; or say it with another admin key that stands above it (--key), or by hand on each node'
  throw new CliError(EXIT.usage, 'own-key', `${own} is the key that signs: it does not ${verb} itself`, hint)
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

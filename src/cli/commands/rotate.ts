/** `pinsub keys rotate`: a new key in place of the old one on every node, in steps of which each can be the last of a run. */
import { setTimeout as wait } from 'node:timers/promises'
import { IdentityError } from '../../identity/errors.ts'
import { generateKeyFile, loadSigner, type AskPassphrase } from '../../identity/key-file.ts'
import { openKey } from '../../identity/open-key.ts'
import {
  ensurePublic,
  rotationFiles,
  rotationStage,
  takeOver,
  type RotationFiles,
  type RotationStage
} from '../../identity/rotation-files.ts'
import type { Signer } from '../../protocol/signature.ts'
import { formatPublicKey } from '../../protocol/ssh-key.ts'
import type { Sender } from '../../sender/sender.ts'
import { exitOf, sayEverywhere } from '../admin-view.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { newPassphrase, passphraseOf } from '../passphrase.ts'
import { openSender } from '../sender.ts'

const BY_HAND =
  "let the next key in with: pinsub keys add 'admin ssh-ed25519 AAAA… you@laptop' --everywhere, then close this one with that: pinsub keys remove SHA256:… --everywhere --key NEXT"

/** While nodes learn of the close from each other, they are asked this often; milliseconds. */
const LOOK_MS = 1_000

/** Runs the command; run again, it goes on where it was interrupted. */
export async function rotate(context: Context): Promise<number> {
  const { output } = context
  const files = rotationFiles(keyFile(context))
  const stage = await stageOf(files)
  if (stage === 'aside') return finish(context, files)
  const ask = askOnce(context)
  const old = await loadSigner(files.key, ask.ask)
  if (stage === 'fresh') await generateKeyFile(files.next, old.comment, ask.last() ?? (await newPassphrase(context, false)))
  output.note(stage === 'fresh' ? `Made ${files.next}, the next key.` : `Going on with ${files.next}.`)
  const next = await loadSigner(files.next, ask.ask)
  const line = formatPublicKey(next.signer.blob, next.comment)
  await ensurePublic(files, line)

  await using sender = await openSender(context, old.signer)
  let standing = await standings(sender, old.signer, next.signer)
  if (!standing.isBegun) {
    const letIn = await sayEverywhere(sender, [{ op: 'authorize', line, succeeds: true }], context, `${next.signer.author} may command`)
    if (letIn !== 'reached') {
      if (letIn === 'short')
        output.note('The old key stays in use until every known node knows the next one: run pinsub keys rotate again.')
      return exitOf(letIn)
    }
    const closed = await sayEverywhere(sender, [{ op: 'close', key: sender.author }], context, `${sender.author} is closed`)
    if (closed === 'refused') return exitOf(closed)
    standing = await standings(sender, old.signer, next.signer)
  }
  // Where any node has closed it, the rest learn that from each other.
  const end = Date.now() + context.config.timeout
  while (standing.isOpen && Date.now() < end) {
    await wait(LOOK_MS, undefined, { signal: context.signal })
    standing = await standings(sender, old.signer, next.signer)
  }
  if (!standing.isOpen) return finish(context, files)
  output.note('The old key is closed on some nodes, and the others are to learn it from these: run pinsub keys rotate again to finish.')
  return EXIT.short
}

async function stageOf(files: RotationFiles): Promise<RotationStage> {
  try {
    return await rotationStage(files)
  } catch (err) {
    if (!(err instanceof IdentityError) || err.code !== 'foreign') throw err
    throw new CliError(EXIT.local, 'foreign', err.message, BY_HAND)
  }
}

function keyFile({ config, home }: Context): string {
  const name = config.key ?? home.key
  if (!name.startsWith('agent:') && !name.endsWith('.pub')) return name
  throw new CliError(EXIT.usage, 'agent', `${name} is in ssh-agent: only a key in a file can be replaced here`, BY_HAND)
}

/** The passphrase of the old key is that of the next one, too, and asked for once. */
function askOnce(context: Context): { readonly ask: AskPassphrase; last(): string | undefined } {
  const inner = passphraseOf(context)
  let last: string | undefined
  return {
    ask: async (path, attempt) => (last = attempt === 0 && last !== undefined ? last : await inner(path, attempt)),
    last: () => last
  }
}

/** Whether some node has the next key in and the old one out, so that all was said; and whether any still obeys the old one. */
async function standings(sender: Sender, old: Signer, next: Signer): Promise<{ readonly isBegun: boolean; readonly isOpen: boolean }> {
  const [mayOld, mayNext] = await Promise.all([sender.whereMay(old.blob), sender.whereMay(next.blob)])
  return {
    isBegun: [...mayNext].some(([node, may]) => may && mayOld.get(node) === false),
    isOpen: [...mayOld.values()].some(Boolean)
  }
}

async function finish(context: Context, files: RotationFiles): Promise<number> {
  const { output } = context
  const old = await takeOver(files, new Date().toISOString().slice(0, 10).replaceAll('-', ''))
  const { signer, comment } = await openKey(files.key, { ask: passphraseOf(context), isLazy: true })
  const line = formatPublicKey(signer.blob, comment)
  output.event({ event: 'rotated', line, file: files.key, old: old ?? null })
  const rest = old === undefined ? '' : ` The old one is ${old}: what it said stays, nothing new of it counts; delete it.`
  output.note(`${files.key} is the new key.${rest}`)
  output.result(line)
  return EXIT.ok
}

/** `pinsub keys rotate`: a new key in place of the old one on every node, in steps of which each can be the last of a run. */
import { readFile } from 'node:fs/promises'
import { generateKeyFile, loadSigner, type AskPassphrase } from '../../identity/key-file.ts'
import { rotationFiles, rotationStage, takeOver, type RotationFiles } from '../../identity/rotation-files.ts'
import type { Signer } from '../../protocol/signature.ts'
import type { Sender } from '../../sender/sender.ts'
import { exitOf, sayEverywhere } from '../admin-view.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { newPassphrase, passphraseOf } from '../passphrase.ts'
import { openSender } from '../sender.ts'

/** Runs the command; run again, it goes on where it was interrupted. */
export async function rotate(context: Context): Promise<number> {
  const { output } = context
  const files = rotationFiles(keyFile(context))
  const stage = await rotationStage(files)
  if (stage === 'aside') return finish(context, files)
  const ask = askOnce(context)
  const old = await loadSigner(files.key, ask.ask)
  if (stage === 'fresh') await generateKeyFile(files.next, old.comment, ask.last() ?? (await newPassphrase(context, false)))
  output.note(stage === 'fresh' ? `Made ${files.next}, the next key.` : `Going on with ${files.next}.`)
  const { signer: next } = await loadSigner(files.next, ask.ask)

  await using sender = await openSender(context, old.signer)
  // Where a run before this one has closed the old key, only its file is left to do.
  if (!(await isDone(sender, old.signer, next))) {
    const line = (await readFile(`${files.next}.pub`, 'utf8')).trim()
    const letIn = await sayEverywhere(sender, [{ op: 'authorize', line, succeeds: true }], context, `${next.author} may command`)
    if (letIn !== 'reached') return stopped(context, exitOf(letIn))
    const closed = await sayEverywhere(sender, [{ op: 'close', key: sender.author }], context, `${sender.author} is closed`)
    if (closed !== 'reached') return stopped(context, exitOf(closed))
  }
  return finish(context, files)
}

function keyFile({ config, home }: Context): string {
  const name = config.key ?? home.key
  if (!name.startsWith('agent:') && !name.endsWith('.pub')) return name
  const hint =
    "let the next key in with: pinsub keys add 'admin ssh-ed25519 AAAA… you@laptop' --everywhere, then close this one: pinsub keys remove KEY --everywhere --key NEXT"
  throw new CliError(EXIT.usage, 'agent', `${name} is in ssh-agent: only a key in a file can be replaced here`, hint)
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

/** Whether the next key is in and the old one closed on every node that is there. */
async function isDone(sender: Sender, old: Signer, next: Signer): Promise<boolean> {
  const [mayOld, mayNext] = await Promise.all([sender.whereMay(old.blob), sender.whereMay(next.blob)])
  return mayNext.size > 0 && [...mayNext.values()].every(Boolean) && ![...mayOld.values()].some(Boolean)
}

function stopped({ output }: Context, exit: number): number {
  if (exit === EXIT.short)
    output.note('The old key stays in use until every known node has taken the next step: run pinsub keys rotate again.')
  return exit
}

async function finish({ output }: Context, files: RotationFiles): Promise<number> {
  const old = await takeOver(files, new Date().toISOString().slice(0, 10).replaceAll('-', ''))
  const line = (await readFile(`${files.key}.pub`, 'utf8')).trim()
  output.event({ event: 'rotated', line, file: files.key, old: old ?? null })
  const rest = old === undefined ? '' : ` The old one is ${old}: what it said stays, nothing new of it counts; delete it.`
  output.note(`${files.key} is the new key.${rest}`)
  output.result(line)
  return EXIT.ok
}

/** `pinsub keys rotate`: a new key in place of the old one on every node, in steps of which each can be the last of a run. */
import { readFile } from 'node:fs/promises'
import { generateKeyFile, loadSigner } from '../../identity/key-file.ts'
import { rotationFiles, rotationStage, takeOver, type RotationFiles } from '../../identity/rotation-files.ts'
import type { Sender } from '../../sender/sender.ts'
import { exitOf, sayEverywhere } from '../admin-view.ts'
import { keyFile, type Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { openSender } from '../sender.ts'

/** Runs the command; run again, it goes on where it was interrupted. */
export async function rotate(context: Context): Promise<number> {
  const { output } = context
  const files = rotationFiles(keyFile(context))
  const stage = await rotationStage(files)
  if (stage === 'aside') return finish(context, files)
  if (stage === 'fresh') {
    const { comment } = await loadSigner(files.key)
    await generateKeyFile(files.next, comment)
  }
  output.note(stage === 'fresh' ? `Made ${files.next}, the next key.` : `Going on with ${files.next}.`)

  await using sender = await openSender(context)
  const next = await loadSigner(files.next)
  const standing = await standings(sender, files)
  // Closed everywhere, and its successor is in: a run before this one got so far.
  if (!(standing.mayNext && !standing.mayOld)) {
    const line = (await readFile(`${files.next}.pub`, 'utf8')).trim()
    const letIn = await sayEverywhere(sender, [{ op: 'authorize', line, succeeds: true }], context, `${next.signer.author} may command`)
    if (letIn !== 'reached') return stopped(context, exitOf(letIn))
    const closed = await sayEverywhere(sender, [{ op: 'close', key: sender.author }], context, `${sender.author} is closed`)
    if (closed !== 'reached') return stopped(context, exitOf(closed))
  }
  return finish(context, files)
}

/** Whether any node obeys the old key, and all obey the next one. */
async function standings(sender: Sender, files: RotationFiles): Promise<{ readonly mayOld: boolean; readonly mayNext: boolean }> {
  const [old, next] = await Promise.all(
    [files.key, files.next].map(async (file) => [...(await sender.whereMay((await loadSigner(file)).signer.blob)).values()])
  )
  return { mayOld: old?.some(Boolean) === true, mayNext: next !== undefined && next.length > 0 && next.every(Boolean) }
}

function stopped({ output }: Context, exit: number): number {
  if (exit === EXIT.short)
    output.note('The old key stays in use until every known node has taken the next step: run pinsub keys rotate again.')
  return exit
}

async function finish({ output }: Context, files: RotationFiles): Promise<number> {
  const old = await takeOver(files, new Date().toISOString().slice(0, 10).replaceAll('-', ''))
  const { signer } = await loadSigner(files.key)
  output.event({ event: 'rotated', fingerprint: signer.author, file: files.key, old })
  output.result(`${files.key} is ${signer.author} now. The old key is ${old}: what it said stays, nothing new of it counts; delete it.`)
  return EXIT.ok
}

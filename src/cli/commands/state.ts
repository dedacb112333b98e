/** `pinsub state export|import`: all that a node was told as one file, and a home made of it. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { addAbortSignal, type Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { readConfigFile, writeConfigFile } from '../../config/file.ts'
import { fileError } from '../../identity/files.ts'
import { systemClock } from '../../network/clock.ts'
import { openStateExport, type StateExport } from '../../node/state-export.ts'
import { openStateFile, StateFileError, type StateFile } from '../../node/state-file.ts'
import { importState } from '../../node/state-import.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { shellWord } from '../format.ts'
import { writeNewFile } from '../new-file.ts'
import { many, showImported, showRefused } from '../state-view.ts'

/** Progress is shown of what takes longer, and this often, milliseconds. */
const PROGRESS_AFTER_MS = 1_000
const PROGRESS_MS = 200

/** Writes the state of this home to a new file, or to stdout. */
export async function exportState(context: Context, file = '-'): Promise<number> {
  const { config, home, output, signal } = context
  const { stateDb, knownNodes } = home
  const network = await homeNetwork(context)
  const authorizedKeys = config.authorizedKeys ?? home.authorizedKeys
  const files = { stateDb, authorizedKeys, knownNodes }
  using state = await openStateExport({ network, files, authorize: config.authorize }, { clock: systemClock })
  for (const { line, message } of state.problems) output.note(`${authorizedKeys}:${line}: ${message} (left out)`)

  const isPiped = file === '-'
  const pieces = follow(context, state, isPiped && process.stdout.isTTY)
  if (isPiped) {
    for await (const piece of pieces) if (!process.stdout.write(piece)) await once(process.stdout, 'drain', { signal })
  } else {
    await writeNewFile(resolve(file), pieces, `give another name, or write over it: pinsub state export > ${shellWord(file)}`)
  }
  output.settle()
  const { commands, keys, nodes } = state.counts()
  const text = `${many(commands, 'command')}, ${many(keys, 'key')} and ${many(nodes, 'known node')} of network ${network} exported`
  if (isPiped) {
    output.note(`${text}.`)
  } else {
    // Piped, stdout is the file: nothing else may stand there.
    output.event({ event: 'exported', file: resolve(file), network, commands, keys, nodes })
    output.result(`${text} to ${file}.`)
  }
  return EXIT.ok
}

/** The pieces of an export, with progress, and time between them for a signal to be seen. */
async function* follow({ output, signal }: Context, state: StateExport, isOnScreen: boolean): AsyncGenerator<string> {
  const show = createProgress()
  for (const piece of state.text) {
    yield piece
    if (!isOnScreen) show(() => output.live([`exporting  ${many(state.counts().commands, 'command')}`]))
    await setImmediate()
    signal.throwIfAborted()
  }
}

/** Takes a state file, or stdin for `-`, over into this home. */
export async function importFile(context: Context, file: string): Promise<number> {
  const { config, home, output, signal } = context
  const name = file === '-' ? 'standard input' : file
  const state = await openSource(context, file, name)
  const { network } = state.head
  if (config.network !== undefined && config.network !== network) {
    const message = `${name} is of network ${network}, and this home (${home.dir}) is set to ${config.network}`
    throw new CliError(EXIT.usage, 'network', message, 'import it into another home: --home DIR')
  }
  const { stateDb, lock, knownNodes } = home
  const authorizedKeys = config.authorizedKeys ?? home.authorizedKeys
  const options = {
    files: { stateDb, lock, authorizedKeys, knownNodes },
    makesKeys: config.authorizedKeys === undefined,
    authorize: config.authorize
  }
  const begin = async (): Promise<void> => {
    const values = (await readConfigFile(home.config)) ?? {}
    if (values['network'] === undefined) await writeConfigFile(home.config, { network, ...values })
  }
  const show = createProgress()
  const onProgress = (commands: number): void => show(() => output.live([`importing  ${many(commands, 'command')}`]))
  const ports = { clock: systemClock, signal, begin, onRefused: showRefused(output, name), onProgress }
  const imported = await importState(state, options, ports)
  output.settle()
  showImported(context, name, state, imported)
  return EXIT.ok
}

async function openSource({ stdin, signal }: Context, file: string, name: string): Promise<StateFile> {
  const source = file === '-' ? addAbortSignal(signal, stdin as Readable) : createReadStream(file, { signal })
  try {
    return await openStateFile(source as AsyncIterable<Uint8Array>)
  } catch (err) {
    if (err instanceof StateFileError) throw new CliError(EXIT.local, err.code, `${name}: ${err.message}`)
    if ((err as NodeJS.ErrnoException).syscall === undefined) throw err
    throw new CliError(EXIT.local, 'file', fileError(file, 'read', err).message)
  }
}

/** The network of this home, where the settings do not name another. */
async function homeNetwork({ config, home }: Context): Promise<string> {
  const stored = (await readConfigFile(home.config))?.['network'] as string | undefined
  const network = config.network ?? stored
  if (network === undefined) {
    const hint = 'name the home of a node: --home DIR'
    throw new CliError(EXIT.usage, 'no-network', `${home.config} names no network: there is nothing to export`, hint)
  }
  if (stored === undefined || stored === network) return network
  const hint = 'its state belongs to that network'
  throw new CliError(EXIT.usage, 'network', `${home.config} is for network ${stored}, not ${network}`, hint)
}

/** Shows what takes long, now and then. */
function createProgress(): (show: () => void) => void {
  let next = performance.now() + PROGRESS_AFTER_MS
  return (show) => {
    const now = performance.now()
    if (now < next) return
    next = now + PROGRESS_MS
    show()
  }
}

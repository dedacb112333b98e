/** What is said of an import, to people and with `--json`. */
import type { RefusedLine, StateFile } from '../node/state-file.ts'
import type { LeftOut, StateImported } from '../node/state-import.ts'
import type { Context } from './context.ts'
import { CliError, EXIT } from './exit.ts'
import { shellWord, table } from './format.ts'
import type { Output } from './output.ts'

/** Lines, keys and authors that are named one by one: a broken file has millions. */
const MAX_SHOWN = 50

/** `1 command`, `5,200 commands`. */
export function many(n: number, one: string): string {
  return `${figure(n)} ${n === 1 ? one : `${one}s`}`
}

/** Shows the lines that are not taken, as they come: the first ones, as `file:line: why`. */
export function showRefused(output: Output, name: string): (line: RefusedLine) => void {
  let shown = 0
  return ({ number, code, message }) => {
    if (shown === MAX_SHOWN) return
    shown++
    output.event({ event: 'refused', line: number, code, message })
    output.note(`${name}:${number}: ${message}${shown === MAX_SHOWN ? ' (more are only counted)' : ''}`)
  }
}

/** Shows what came of the import of the file `name`; throws a local error where that is not all that was exported. */
export function showImported({ flags, home, output }: Context, name: string, { head }: StateFile, imported: StateImported): void {
  const { stored, known, superseded, omitted, leftOut, refused, cids, granted, trusted } = imported
  const fault = faultOf(name, imported)
  const at = flags['home'] === undefined ? '' : ` --home ${shellWord(home.dir)}`
  for (const each of leftOut) {
    const { author, code, commands, key } = each
    output.event({ event: 'omitted', author, code, commands, line: typeof key === 'object' ? key.line : null })
  }
  leftOut.slice(0, MAX_SHOWN).forEach((each) => output.note(explain(each, at)))
  if (leftOut.length > MAX_SHOWN) output.note(`and commands of ${many(leftOut.length - MAX_SHOWN, 'other key')}`)

  output.event({
    event: 'restored',
    home: home.dir,
    network: head.network,
    exported: new Date(head.exportedAt).toISOString(),
    commands: stored,
    known,
    superseded,
    omitted,
    refused,
    complete: fault === undefined,
    cids,
    granted: granted?.map(({ author }) => author) ?? null,
    trusted
  })
  if (granted !== undefined && granted.length > 0) {
    output.result('These keys may command this node now, because the file says so:')
    table(granted.slice(0, MAX_SHOWN).map(({ author, comment }) => [`  ${author}`, comment])).forEach((row) => output.result(row))
    if (granted.length > MAX_SHOWN) output.result(`  and ${figure(granted.length - MAX_SHOWN)} more: pinsub keys list${at}`)
  } else if (granted !== undefined) {
    output.note(`The file names no key that may command: pinsub keys add${at} 'ssh-ed25519 AAAA… you@laptop'`)
  }
  if (trusted > 0) output.result(`${many(trusted, 'node')} of the file stand in ${home.knownNodes} now: their word counts.`)
  const others = [
    [known, 'here already'],
    [superseded, 'outranked'],
    [omitted, 'left out']
  ] as const
  const parts = [
    `${many(stored, 'command')} imported (${many(cids, 'CID')} to hold)`,
    ...others.flatMap(([n, what]) => (n === 0 ? [] : [`${figure(n)} ${what}`])),
    `${many(refused, 'line')} refused`
  ]
  output.result(`${parts.join(', ')}. Start the agent: pinsub node${at}`)
  if (fault !== undefined) throw fault
}

function explain({ author, code, commands, key }: LeftOut, at: string): string {
  const what = `${many(commands, 'command')} of ${author} left out: `
  switch (code) {
    case 'unauthorised':
      if (key === undefined) return `${what}neither this home nor the file has a line of its key`
      if (key === 'revoked') return `${what}its key is revoked in the file`
      if (key === 'closed') return `${what}its key was closed where the file is from, and this home has an authorized_keys of its own`
      return `${what}its key may not command here. To let it: pinsub keys add${at} ${shellWord(key.line)}, and import again`
    case 'revoked':
      return `${what}its key is revoked`
    case 'not-yet':
      return `${what}accepted before its key was valid`
    case 'expired':
      return `${what}accepted after its key was closed`
    case 'pinset':
      return `${what}its key is not for their pinsets`
    case 'quota':
      return `${what}it has reached its limit`
  }
}

/** What keeps the import from being all that was exported. */
function faultOf(name: string, { refused, ending, stored, known }: StateImported): CliError | undefined {
  const { isEnded, commands, expected = 0, isUnchanged } = ending
  const fault = (code: string, message: string): CliError =>
    new CliError(
      EXIT.local,
      code,
      message,
      'All that is good was imported; an intact file can be imported over it, what is here stays as it is.'
    )
  if (!isEnded) {
    if (stored + known === 0 && commands === 0)
      return new CliError(EXIT.local, 'cut', `${name} ends before its first command: it was cut`, 'nothing was imported')
    return fault('cut', `${name} ends early: it was cut`)
  }
  const lacking = expected - commands - refused
  if (lacking > 0) return fault('damaged', `${name} lacks ${figure(lacking)} of its ${many(expected, 'command')}`)
  if (refused > 0) return fault('refused', `${many(refused, 'line')} of ${name} refused`)
  if (isUnchanged) return undefined
  return fault('damaged', `${name} was changed after it was written: what it says of keys and times is not signed, compare it with a copy`)
}

function figure(n: number): string {
  return n.toLocaleString('en')
}

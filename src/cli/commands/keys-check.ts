/** `pinsub keys check`: what a changed authorized_keys file would do to the node of this home. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { openKeyCheck, type KeyEffect, type KeyTurn, type TurnedKey } from '../../node/key-check.ts'
import { systemClock } from '../../network/clock.ts'
import { formatOptions } from '../../protocol/key-options.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { count, table } from '../format.ts'

/** Effects that people are shown; `--json` has all. */
const MAX_SHOWN = 10

const TURNS: Readonly<Record<KeyTurn, string>> = {
  in: 'let in',
  'not-yet': 'let in later',
  closed: 'closed',
  revoked: 'revoked',
  options: 'other options'
}

/** Runs it; exit code 1 where a line is broken, so that a script does not put such a file in force. */
export async function check({ config, home, output }: Context, given: string | undefined): Promise<number> {
  const file = given === undefined ? (config.authorizedKeys ?? home.authorizedKeys) : resolve(given)
  const { authorize, network = '', remoteKeys: obeysMessages } = config
  using found = await openKeyCheck({ network, file, stateDb: home.stateDb, authorize, obeysMessages }, { clock: systemClock })
  const { keys, turned, hasState } = found
  const texts = (await readFile(file, 'utf8')).split(/\r?\n/)
  const place = (number: number | undefined): object => (number === undefined ? {} : { line: texts[number - 1] ?? '', number })

  for (const { author, turn, before, after } of turned) {
    const options = { before: before === undefined ? null : formatOptions(before.grant), options: formatOptions(after.grant) }
    const { comment } = after.grant
    output.event({ event: 'change', change: turn, fingerprint: author, comment, ...options, ...place(keys.lines.get(author)), file })
  }
  for (const { line, message } of keys.problems) output.event({ event: 'authorized', ...place(line), state: 'broken', message, file })
  const counts = { unowned: 0, released: 0, wanted: 0 }
  const shown: KeyEffect[] = []
  for (const effect of found.effects) {
    counts[effect.effect]++
    if (shown.length < MAX_SHOWN) shown.push(effect)
    const { author, ...rest } = effect
    output.event({ event: 'effect', ...rest, fingerprint: author })
  }

  output.result(`${file}: ${count(keys.grants.size, 'key')} may command`)
  if (!hasState) output.result(`There is no ${home.stateDb}: no agent has run in this home, so every key is new.`)
  table(turned.map((key) => turnRow(key, keys.lines.get(key.author)))).forEach((row) => output.result(`  ${row}`))
  if (hasState && turned.length === 0) output.result('  No key changes.')
  const said = [
    [counts.unowned, 'pin', 'would become unowned: kept, no replica, until pinned or unpinned by another key'],
    [counts.released, 'pin', 'would be let go: an unpin decides again'],
    [counts.wanted, 'unpin', 'would fall: what it let go is wanted again']
  ] as const
  for (const [n, what, fate] of said) if (n > 0) output.result(`${count(n, what)} ${fate}`)
  table(shown.map(({ effect, cid, pinset, author }) => [effect, cid, pinset, author])).forEach((row) => output.result(`  ${row}`))
  const total = counts.unowned + counts.released + counts.wanted
  if (total > shown.length) output.result(`  and ${total - shown.length} more: pinsub keys check --json`)
  for (const { line, message } of keys.problems) output.note(`${file}:${line}: ${message}`)
  if (keys.skipped > 0)
    output.note(`${count(keys.skipped, 'line')} with keys of other types (RSA, ECDSA, certificates, FIDO) would be skipped`)
  if (keys.grants.size === 0) output.note(`${file} lets nobody command this node`)

  const broken = keys.problems.length
  output.event({ event: 'checked', file, compared: hasState, authorized: keys.grants.size, changes: turned.length, ...counts, broken })
  return broken === 0 ? EXIT.ok : EXIT.local
}

function turnRow({ author, turn, before, after }: TurnedKey, line: number | undefined): string[] {
  const options = formatOptions(after.grant) || 'no limits'
  const told =
    turn === 'options' ? `${formatOptions(before?.grant ?? after.grant) || 'no limits'}  →  ${options}` : turn === 'in' ? options : ''
  return [TURNS[turn], line === undefined ? '' : `line ${line}`, author, after.grant.comment, told]
}

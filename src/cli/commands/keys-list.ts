/** `pinsub keys list`: who may command the node of this home, by its file and by message. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { readAuthorizedKeys } from '../../identity/authorized-keys-file.ts'
import type { Grant } from '../../protocol/grants.ts'
import type { Usage } from '../../protocol/records.ts'
import type { Author } from '../../protocol/ssh-key.ts'
import { openStateReader } from '../../storage/state-reader.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { bytes, count, table } from '../format.ts'
import { saidByMessage, type MessageWord } from '../key-messages.ts'

/** Lists who may command the node of this home, by its file and by message, and lines that grant nothing. */
export async function list(context: Context): Promise<number> {
  const { config, home, output } = context
  const file = config.authorizedKeys ?? home.authorizedKeys
  const keys = await readAuthorizedKeys(file)
  const now = Date.now()
  const said = saidByMessage(context, keys, now)
  const used = usageIn(home.stateDb)
  const texts = (await readFile(file, 'utf8').catch(() => '')).split(/\r?\n/)
  const place = (number: number | undefined): { line: string; number: number } | object =>
    number === undefined ? {} : { line: texts[number - 1] ?? '', number }
  const rows: string[][] = []
  for (const [author, grant] of keys.grants) {
    const word = said.get(author)
    const state = word === undefined || word.says === 'authorize' ? stateOf(grant, now) : ENDED[word.says]
    output.event({
      event: 'authorized',
      ...place(keys.lines.get(author)),
      state,
      fingerprint: author,
      comment: grant.comment,
      ops: grant.rights,
      pinsets: grant.pinsets ?? null,
      valid_after: iso(grant.validAfter),
      expires: iso(grant.expiryTime),
      ...capsOf(grant, used),
      admin: grant.admin,
      file,
      ...(word === undefined ? {} : { message: wordOf(word) })
    })
    rows.push(rowOf(grant, state, used, word))
  }
  for (const [author, { grant, line, ...word }] of said) {
    if (keys.grants.has(author) || grant === undefined) continue
    const state = word.says === 'authorize' ? stateOf(grant, now) : ENDED[word.says]
    const ends = { valid_after: iso(grant.validAfter), expires: iso(grant.expiryTime) }
    const { rights: ops, pinsets = null, comment, admin } = grant
    output.event({
      event: 'authorized',
      ...(line === undefined ? {} : { line }),
      state,
      fingerprint: author,
      comment,
      ops,
      pinsets,
      ...ends,
      ...capsOf(grant, used),
      admin,
      message: word
    })
    rows.push(rowOf(grant, state, used, word))
  }
  for (const author of keys.revoked) {
    output.event({ event: 'authorized', ...place(keys.lines.get(author)), state: 'revoked', fingerprint: author, file })
    rows.push([author, 'revoked'])
  }
  table(rows).forEach((row) => output.result(row))
  for (const { line, message } of keys.problems) {
    output.event({ event: 'authorized', ...place(line), state: 'broken', message, file })
    output.note(`${file}:${line}: ${message}`)
  }
  if (keys.skipped > 0) output.note(`${keys.skipped} lines with keys of other types (RSA, ECDSA, certificates, FIDO) were skipped`)
  if (rows.length === 0) output.note(`${file} lets nobody command this node: pinsub keys add 'ssh-ed25519 AAAA… you@laptop'`)
  return EXIT.ok
}

const ENDED = { close: 'closed', revoke: 'revoked' } as const

function wordOf({ says, by, command, at }: MessageWord): MessageWord {
  return { says, by, command, at }
}

/** What each key is charged for; nothing where no node has run in this home. */
function usageIn(stateDb: string): ReadonlyMap<Author, Usage> {
  if (!existsSync(stateDb)) return new Map()
  using state = openStateReader(stateDb)
  return state.usage()
}

function capsOf({ author, maxPins, maxBytes }: Grant, used: ReadonlyMap<Author, Usage>): object {
  const { pins = 0, bytes: size = 0 } = used.get(author) ?? {}
  return { max_pins: maxPins ?? null, max_bytes: maxBytes ?? null, used_pins: pins, used_bytes: size }
}

function capsText({ author, maxPins, maxBytes }: Grant, used: ReadonlyMap<Author, Usage>): string {
  const { pins = 0, bytes: size = 0 } = used.get(author) ?? {}
  return [
    ...(maxPins === undefined ? [] : [`${pins} of ${count(maxPins, 'pin')}`]),
    ...(maxBytes === undefined ? [] : [`${bytes(size)} of ${bytes(maxBytes)}`])
  ].join(', ')
}

function rowOf(grant: Grant, state: string, used: ReadonlyMap<Author, Usage>, word: MessageWord | undefined): string[] {
  return [
    grant.author,
    state,
    grant.admin ? `${grant.rights.join(',')},admin` : grant.rights.join(','),
    grant.pinsets?.join(',') ?? 'every pinset',
    grant.expiryTime === undefined ? '' : `until ${iso(grant.expiryTime)}`,
    capsText(grant, used),
    grant.comment,
    word === undefined ? '' : `by message, ${word.at.slice(0, 10)}`
  ]
}

function stateOf(grant: Grant, now: number): 'active' | 'expired' | 'not-yet' {
  if (grant.validAfter !== undefined && now < grant.validAfter) return 'not-yet'
  return grant.expiryTime !== undefined && now >= grant.expiryTime ? 'expired' : 'active'
}

function iso(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}

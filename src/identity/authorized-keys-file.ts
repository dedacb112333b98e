/** authorized_keys on disk: reading it as sshd would, and rewriting one that pinsub made. */
import { realpath } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { parseAuthorizedKeys, type AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { KeyChange } from '../protocol/key-edit.ts'
import { MAX_KEY_FILE_BYTES, MAX_KEY_LINES } from '../protocol/limits.ts'
import { IdentityError } from './errors.ts'
import { readSmallFile, updateFile } from './files.ts'

/** First words of a file that pinsub made and may therefore rewrite. */
export const MADE_BY_PINSUB = '# made by pinsub'

const HEADER = `${MADE_BY_PINSUB}: who may command this node, one OpenSSH key a line. Edit it freely; changes count within a second.
# pinsub adds lines here as long as the line above stays the first.
`

/** Reads the file once, for `keys list` and `keys check`. Throws {@link IdentityError} as {@link readAuthorizedKeysText}. */
export async function readAuthorizedKeys(file: string): Promise<AuthorizedKeys> {
  return parseAuthorizedKeys(await readAuthorizedKeysText(file))
}

/**
 * The text of the file. Throws {@link IdentityError}: `missing`, `empty`, `unreadable`, `size`, and `permissions` where others
 * may write it ({@link othersMayWrite}): whoever writes it commands the node, so it is refused as sshd's StrictModes refuses
 * it; a warning would be read too late. Whose file it is does not matter: in containers that seldom is the user that runs.
 */
export async function readAuthorizedKeysText(file: string): Promise<string> {
  const { text, mode, uid, gid } = await readSmallFile(file, MAX_KEY_FILE_BYTES)
  if (process.platform !== 'win32' && othersMayWrite(mode, uid, gid)) {
    const octal = mode.toString(8).padStart(4, '0')
    throw new IdentityError(
      'permissions',
      file,
      `${file} can be written by others (mode ${octal}), so it counts for nothing: chmod go-w ${file}`
    )
  }
  if (text === '') throw new IdentityError('empty', file, `${file} is empty: it lets nobody command this node`)
  return text
}

/**
 * Rewrites a file that pinsub made, or makes it (0600, in a folder that exists): atomically, mode and owner stay. `edit` returns
 * undefined to leave all as it is. Throws {@link IdentityError}: `foreign` below a folder `.ssh` or without pinsub's own first line
 * (such a file is only read), `size` where the file would then grant nothing, `encoding`, `busy`, `unreadable`; and what `edit` throws.
 */
export async function rewriteAuthorizedKeys(file: string, edit: (text: string) => KeyChange | undefined): Promise<void> {
  const sshd = (await isBelowSsh(file)) ? 'sshd reads it too: a key added there may log in' : undefined
  const rewrite = (old = HEADER): string | undefined => {
    const change = edit(old === '' ? HEADER : old)
    if (change === undefined) return undefined
    const isOurs = old === '' || old.replace(/^\uFEFF/, '').startsWith(MADE_BY_PINSUB)
    const why = sshd ?? (isOurs ? undefined : `its first line does not begin with "${MADE_BY_PINSUB}"`)
    if (why !== undefined) throw foreign(file, why, change.byHand)
    const { text } = change
    const isTooLong = Buffer.byteLength(text) > MAX_KEY_FILE_BYTES || (text.match(/\n/g)?.length ?? 0) > MAX_KEY_LINES
    if (isTooLong) throw new IdentityError('size', file, `${file} is not changed: longer than it is now it would grant nothing at all`)
    return text
  }
  const before = await readSmallFile(file, MAX_KEY_FILE_BYTES).catch((err: IdentityError) => {
    if (err.code === 'missing') return undefined
    throw err
  })
  // Before anything is written beside it: the folder may be another's too.
  if (rewrite(before?.text) !== undefined) await updateFile(file, MAX_KEY_FILE_BYTES, 0o600, rewrite)
}

/**
 * Whether somebody besides owner and root may write a file. A group with the number of the owner is the owner's private one
 * (Debian and Fedora make these, with a umask of 002), so its bit does no harm, as Debian's sshd has it.
 */
export function othersMayWrite(mode: number, uid: number, gid: number): boolean {
  const privateGroup = uid === gid && uid !== 0
  return (mode & (privateGroup ? 0o002 : 0o022)) !== 0
}

/** Whether a file lies below a folder `.ssh`, by its name or by where links lead. */
export async function isBelowSsh(file: string): Promise<boolean> {
  const path = resolve(file)
  const folder = await realpath(dirname(path)).catch(() => dirname(path))
  const target = await realpath(path).catch(() => path)
  return [path, folder, target].some((each) => each.split(sep).includes('.ssh'))
}

function foreign(file: string, why: string, byHand: string): IdentityError {
  return new IdentityError('foreign', file, `${file} is not changed, ${why}. With an editor, ${byHand.replaceAll('\n', '\n  and ')}`)
}

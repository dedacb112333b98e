/** authorized_keys on disk: reading it as sshd would, and adding to one that pinsub made. */
import { realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import { parseAuthorizedKeys, parseKeyLine, type AuthorizedKeys } from '../protocol/authorized-keys.ts'
import { MAX_KEY_FILE_BYTES } from '../protocol/limits.ts'
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
 * Adds one line to a file that pinsub made, or makes it (0600, in a folder that exists); atomically, all else in it stays.
 * `present` when the key has a good line already, whatever that grants. Throws `InvalidTextError` for a bad line and
 * {@link IdentityError}: `foreign` below a folder `.ssh` or without pinsub's own first line, `revoked`, `busy`, `unreadable`.
 */
export async function addAuthorizedLine(file: string, line: string): Promise<'added' | 'present'> {
  const { author } = parseKeyLine(line)
  for (const path of [resolve(file), await realpath(file).catch(() => resolve(file))]) {
    if (path.split(sep).includes('.ssh')) throw foreign(file, 'sshd reads it too: a key added there may log in')
  }
  let result: 'added' | 'present' = 'added'
  await updateFile(file, MAX_KEY_FILE_BYTES, 0o600, (old = HEADER) => {
    if (old !== '' && !old.replace(/^\uFEFF/, '').startsWith(MADE_BY_PINSUB))
      throw foreign(file, `its first line does not begin with "${MADE_BY_PINSUB}"`)
    const text = old === '' ? HEADER : old
    const { grants, revoked, lines } = parseAuthorizedKeys(text)
    if (revoked.has(author))
      throw new IdentityError('revoked', file, `${file}:${lines.get(author)} revokes this key: remove that line first`)
    result = grants.has(author) ? 'present' : 'added'
    return result === 'present' ? undefined : `${text}${text.endsWith('\n') ? '' : '\n'}${line.trim()}\n`
  })
  return result
}

/**
 * Whether somebody besides owner and root may write a file. A group with the number of the owner is the owner's private one
 * (Debian and Fedora make these, with a umask of 002), so its bit does no harm, as Debian's sshd has it.
 */
export function othersMayWrite(mode: number, uid: number, gid: number): boolean {
  const privateGroup = uid === gid && uid !== 0
  return (mode & (privateGroup ? 0o002 : 0o022)) !== 0
}

function foreign(file: string, why: string): IdentityError {
  return new IdentityError('foreign', file, `${file} is not changed, ${why}: add the line with an editor`)
}

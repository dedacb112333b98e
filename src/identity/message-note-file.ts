/** Keeps the note of what admins said by message in an authorized_keys file that pinsub made. */
import { withNote } from '../protocol/message-note.ts'
import { rewriteAuthorizedKeys } from './authorized-keys-file.ts'
import { IdentityError } from './errors.ts'

/**
 * Writes the note, unless the file has it. `refused` for a file that is not pinsub's own, is missing, or cannot be written by this user:
 * what was said counts all the same.
 */
export async function keepMessageNote(file: string, note: readonly string[]): Promise<'written' | 'there' | 'refused'> {
  let noted: string | undefined
  try {
    await rewriteAuthorizedKeys(file, (text) => {
      noted = withNote(text, note)
      return noted === undefined ? undefined : { text: noted, authors: new Set(), byHand: '' }
    })
    return noted === undefined ? 'there' : 'written'
  } catch (err) {
    if (err instanceof IdentityError) return 'refused'
    throw err
  }
}

/** Where passphrases come from: the file that the settings name, else the person at the terminal. */
import { IdentityError } from '../identity/errors.ts'
import type { AskPassphrase } from '../identity/key-file.ts'
import { readPassphraseFile } from '../identity/passphrase-file.ts'
import type { Context } from './context.ts'
import { CliError, EXIT } from './exit.ts'
import { openTerminal } from './terminal.ts'

/** As ssh asks. */
const TRIES = 3

/** Says the passphrase of a key that is there; nobody does where no file is named and there is no terminal. */
export function passphraseOf({ config, signal }: Pick<Context, 'config' | 'signal'>): AskPassphrase {
  const file = config.keyPassphraseFile
  if (file !== undefined) {
    return async (key, attempt) => {
      if (attempt === 0) return readPassphraseFile(file)
      throw new IdentityError('passphrase', file, `the passphrase in ${file} is not that of ${key}`)
    }
  }
  return async (key, attempt) => {
    if (attempt >= TRIES) return undefined
    const again = attempt === 0 ? '' : 'That is not it. '
    return openTerminal(signal)?.(`${again}Passphrase for ${key}: `)
  }
}

/** The passphrase of a key that is to be made: the one in the file of the settings, or asked for twice where `ask`; undefined for none. */
export async function newPassphrase({ config, signal }: Pick<Context, 'config' | 'signal'>, ask: boolean): Promise<string | undefined> {
  if (config.keyPassphraseFile !== undefined) return readPassphraseFile(config.keyPassphraseFile)
  if (!ask) return undefined
  const terminal = openTerminal(signal)
  if (terminal === undefined) {
    const hint = 'name a file with it in PINSUB_KEY_PASSPHRASE_FILE'
    throw new CliError(EXIT.usage, 'encrypted', 'there is no terminal to ask for the passphrase on', hint)
  }
  const passphrase = await terminal('Passphrase for the new key: ')
  if (passphrase === '')
    throw new CliError(EXIT.usage, 'passphrase', 'an empty passphrase protects nothing', 'for a key without one leave out --passphrase')
  if ((await terminal('The same once more: ')) === passphrase) return passphrase
  throw new CliError(EXIT.usage, 'passphrase', 'the two passphrases differ: no key was made')
}

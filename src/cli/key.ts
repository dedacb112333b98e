/** The signing key of the settings. */
import { openKey, type OpenKey } from '../identity/open-key.ts'
import type { Context } from './context.ts'
import { passphraseOf } from './passphrase.ts'

/** Opens the signing key; asks for its passphrase where it has one. */
export function signingKey(context: Context): Promise<OpenKey> {
  return openKey(keyName(context), { ask: passphraseOf(context) })
}

/** The signing key for who signs nothing: a passphrase is asked for only should that turn out wrong. */
export function publicKey(context: Context): Promise<OpenKey> {
  return openKey(keyName(context), { ask: passphraseOf(context), isLazy: true })
}

/** Where a key is, for people. */
export function keyPlace({ place }: Pick<OpenKey, 'place'>): string {
  return 'file' in place ? place.file : `ssh-agent (${place.agent})`
}

function keyName({ config, home }: Context): string {
  return config.key ?? home.key
}

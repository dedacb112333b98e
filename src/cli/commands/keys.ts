/** `pinsub keys gen|show`: the signing key of this home. */
import { dirname, resolve } from 'node:path'
import { hostname, userInfo } from 'node:os'
import { makeFolder } from '../../identity/folders.ts'
import { generateKeyFile } from '../../identity/key-file.ts'
import { formatPublicKey } from '../../protocol/ssh-key.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { publicKey } from '../key.ts'
import { newPassphrase } from '../passphrase.ts'

/** Flags of `keys gen`. */
export interface GenFlags {
  readonly passphrase?: boolean
  readonly comment?: string
}

/** Makes a key file, never over another; encrypted where a passphrase is given, which is asked for with `--passphrase`. */
export async function gen(context: Context, file: string | undefined, flags: GenFlags): Promise<number> {
  const { home, output } = context
  const path = file === undefined ? home.key : resolve(file)
  await makeFolder(dirname(path))
  const passphrase = await newPassphrase(context, flags.passphrase ?? false)
  const { line, author } = await generateKeyFile(path, flags.comment ?? `${userInfo().username}@${hostname()}`, passphrase)
  output.event({ event: 'key', line, fingerprint: author, file: path })
  output.note(`Made ${path} (0600${passphrase === undefined ? '' : ', encrypted'}) and ${path}.pub: ${author}`)
  output.result(line)
  return EXIT.ok
}

/** Prints the public line of the signing key, to be pasted into authorized_keys. */
export async function show(context: Context): Promise<number> {
  const { output } = context
  const { signer, comment, place } = await publicKey(context)
  const line = formatPublicKey(signer.blob, comment)
  output.event({ event: 'key', line, fingerprint: signer.author, ...place })
  output.result(line)
  return EXIT.ok
}

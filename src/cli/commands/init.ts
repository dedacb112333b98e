/** `pinsub init`: makes what is missing in the home, says what to do next, and meets the first nodes. */
import { randomBytes } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { basename, resolve } from 'node:path'
import { readConfigFile, writeConfigFile } from '../../config/file.ts'
import { randomNetworkName } from '../../config/network-name.ts'
import { addAuthorizedLine } from '../../identity/authorized-keys-edit.ts'
import { readAuthorizedKeysText } from '../../identity/authorized-keys-file.ts'
import { exists, makeFolder } from '../../identity/folders.ts'
import { generateKeyFile } from '../../identity/key-file.ts'
import { parseAuthorizedKeys } from '../../protocol/authorized-keys.ts'
import { formatPublicKey, type Author } from '../../protocol/ssh-key.ts'
import { readSwarmKey } from '../../identity/swarm-key-file.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { shellWord } from '../format.ts'
import { keyPlace, publicKey } from '../key.ts'
import { meet } from '../meet.ts'
import { newPassphrase } from '../passphrase.ts'

/** How the package is run where it is not installed. */
export const RUN = 'npx -y -p node@24 -p pinsub pinsub'

/** Runs the command. */
export async function init(context: Context): Promise<number> {
  const { config, home, output } = context
  const created: string[] = []
  await makeFolder(home.dir)

  if (config.key === undefined && !(await exists(home.key))) {
    await generateKeyFile(home.key, `${userInfo().username}@${hostname()}`, await newPassphrase(context, false))
    created.push(home.key)
  }
  // Before anything is written down that does not work.
  if (config.swarmKey !== undefined) await readSwarmKey(config.swarmKey)
  const key = await publicKey(context)
  const { signer } = key
  const line = formatPublicKey(signer.blob, key.comment)
  const file = (await readConfigFile(home.config)) ?? {}
  if (!(await exists(home.authorizedKeys))) {
    // Who begins a network may let in and take away other keys; who joins one is let in by its admins.
    const isFounder = config.network === undefined && file['network'] === undefined
    await addAuthorizedLine(home.authorizedKeys, isFounder ? `admin ${line}` : line)
    created.push(home.authorizedKeys)
  }
  const authorize = await lineForNodes(home.authorizedKeys, signer.author, line)

  const network = (file['network'] as string | undefined) ?? config.network ?? randomNetworkName((n) => randomBytes(n))
  if (config.network !== undefined && config.network !== network) {
    throw new CliError(
      EXIT.usage,
      'network',
      `${home.config} is for network ${network}, not ${config.network}`,
      'use another home: --home DIR'
    )
  }
  const reached = config.bootstrap.length === 0 ? [] : await meet(context, network, line)
  const values = (await readConfigFile(home.config)) ?? {}
  const missing = {
    ...(file['network'] === undefined ? { network } : {}),
    // A home without a key of its own remembers the one that it was made for.
    ...(config.key !== undefined && file['key'] === undefined && !(await exists(home.key)) ? { key: absolute(config.key) } : {}),
    ...(config.swarmKey !== undefined && file['swarm-key'] === undefined ? { 'swarm-key': resolve(config.swarmKey) } : {})
  }
  // Not before the nodes were met: who gave the wrong name, or none, could not give the right one any more.
  if (Object.keys(missing).length > 0) {
    await writeConfigFile(home.config, { ...missing, ...values })
    created.push(home.config)
  }

  output.event({ event: 'init', home: home.dir, network, line, authorize, fingerprint: signer.author, created, reached })
  output.result(
    `${created.length > 0 ? 'Made' : 'Kept'} ${home.dir}: network ${network}, signing key ${signer.author} ${'file' in key.place && key.place.file === home.key ? '(0600)' : `in ${keyPlace(key)}`}.`
  )
  if (reached.length === 0 && values['bootstrap'] === undefined) {
    output.result('On each machine that shall store (a Kubo at 127.0.0.1:5001 is used, else storage is built in), run:\n')
    const privately = config.swarmKey === undefined ? '' : ` --swarm-key ${shellWord(basename(config.swarmKey))}`
    output.result(`  ${RUN} node --network ${network}${privately} --authorize ${shellWord(authorize)}\n`)
    if (privately !== '') output.result(`and copy ${config.swarmKey} there before, readable by nobody else (chmod 600).`)
  }
  return EXIT.ok
}

/** What lets this key in on a new node: its own line, or that of the admin key which all began with, where it was rotated since. */
async function lineForNodes(file: string, author: Author, line: string): Promise<string> {
  const text = await readAuthorizedKeysText(file).catch(() => '')
  const { grants, lines } = parseAuthorizedKeys(text)
  const own = grants.get(author)
  if (own !== undefined) return own.admin ? `admin ${line}` : line
  const first = [...grants.values()].find(({ admin }) => admin)
  return first === undefined ? line : (text.split(/\r?\n/)[(lines.get(first.author) as number) - 1] as string).trim()
}

function absolute(key: string): string {
  return key.startsWith('agent:') ? key : resolve(key)
}

/** A sender as the command line makes it: from the home, with what the flags say. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { makeFolder } from '../identity/folders.ts'
import { readKnownNodes } from '../identity/known-nodes-file.ts'
import { parseBootstrap } from '../network/addresses.ts'
import { createSeedSigner, SEED_BYTES, type Signer } from '../protocol/signature.ts'
import { createSender, type Sender } from '../sender/sender.ts'
import { requireNetwork, type Context } from './context.ts'
import { publicKey, signingKey } from './key.ts'
import { ownAgent } from './own-agent.ts'

/**
 * Opens a sender that only asks: it signs nothing, so that a key with a passphrase stays locked, and where the home has no key, as on
 * a server, it needs none. The caller stops it.
 */
export async function openReader(context: Context): Promise<Sender> {
  const { config, home } = context
  if (config.key !== undefined || existsSync(home.key)) return openSender(context, (await publicKey(context)).signer)
  return openSender(context, createSeedSigner(randomBytes(SEED_BYTES)))
}

/** Opens the sender of this home, signing with `signer`, else with the key of the settings; it begins with the agent of this home where no other node is named. The caller
 * stops it. */
export async function openSender(context: Context, signer?: Signer): Promise<Sender> {
  const { config, home, version } = context
  const network = requireNetwork(context)
  const key = signer ?? (await signingKey(context)).signer
  const known = await readKnownNodes(home.knownNodes)
  for (const { line, message } of known.problems) context.output.note(`${home.knownNodes}:${line}: ${message}`)
  if (known.exists && known.nodes.size === 0)
    context.output.note(`${home.knownNodes} names no node, so none counts: pinsub nodes trust PEER, or remove the file and all count`)
  await makeFolder(home.senderDir)
  return createSender({
    network,
    key,
    bootstrap: config.bootstrap.length === 0 ? await ownAgent(context) : config.bootstrap.map(parseBootstrap),
    ...(known.exists ? { knownNodes: known.nodes.keys() } : {}),
    ledger: home.ledger,
    userAgent: `pinsub/${version}`,
    ...(config.swarmKey === undefined ? {} : { swarmKey: config.swarmKey })
  })
}

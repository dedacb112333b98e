/** Gives an agent a past. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CID } from 'multiformats/cid'
import { homeLayout } from '../../src/config/home.ts'
import { loadSigner } from '../../src/identity/key-file.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createKeyring, openHome } from '../../src/node/state-home.ts'
import { encodeCommand } from '../../src/protocol/command.ts'
import { sealEnvelope } from '../../src/protocol/envelope.ts'

/** Writes into the home of an agent that does not run that the author of `key` pinned each CID in a command of its own. */
export async function writeHistory(
  home: string,
  by: { readonly network: string; readonly key: string },
  cids: readonly string[]
): Promise<void> {
  const { network, key } = by
  const { signer } = await loadSigner(key)
  // The home's own file is made by its agent.
  const files = { ...homeLayout(home), authorizedKeys: `${key}.pub` }
  await mkdir(dirname(files.stateDb), { recursive: true })
  const start = Date.now() - cids.length
  const commands = await Promise.all(
    cids.map(async (cid, i) => {
      const operations = [{ op: 'pin', cid: CID.parse(cid) }] as const
      const command = { network, pinset: 'default', time: { ms: start + i, counter: 0 }, operations }
      const { bytes } = await sealEnvelope('command', encodeCommand(command, signer.blob), signer)
      return { acceptedAt: start + i, envelope: bytes }
    })
  )
  const options = { network, files, makesKeys: false, authorize: [] }
  using opened = await openHome(createKeyring(Date.now()), options, { clock: systemClock, begin: () => Promise.resolve() })
  const admitted = await opened.admission.take(commands, { isVouched: true })
  if (admitted.some((one) => one !== 'held')) throw new Error('not all of the history counts')
}

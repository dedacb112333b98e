/** `pinsub show ID`: a command as it was signed, and with `--ssh` the files that `ssh-keygen -Y verify` takes. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../identity/folders.ts'
import { decodeCommand, networkOf, type Command } from '../../protocol/command.ts'
import { openEnvelope, verifyEnvelope, type Envelope } from '../../protocol/envelope.ts'
import { isoTime } from '../../protocol/line-fields.ts'
import { toSshsig } from '../../protocol/signature.ts'
import { formatPublicKey } from '../../protocol/ssh-key.ts'
import { findCommands, type FoundCommand } from '../../storage/find-command.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { shellWord, table } from '../format.ts'
import { writeNewFile } from '../new-file.ts'
import { plainOperation, tellOperation } from '../operation-view.ts'

const NAMESPACE = 'pinsub'

/** Flags of the command. */
export interface ShowFlags {
  readonly ssh?: boolean
  readonly out?: string
}

/** Runs the command. */
export async function show(context: Context, id: string, flags: ShowFlags): Promise<number> {
  if (flags.out !== undefined && flags.ssh !== true)
    throw new CliError(EXIT.usage, 'usage', '--out says where --ssh writes to: give --ssh too')
  const found = findOne(context, id)
  const envelope = verifyEnvelope(openEnvelope(found.envelope))
  const command = decodeCommand(envelope, networkOf(envelope))
  const proof = flags.ssh === true ? await exportProof(envelope, command.id, flags.out ?? '.') : undefined
  tell(context, { found, command, proof })
  return EXIT.ok
}

function findOne({ home }: Context, id: string): FoundCommand {
  const prefix = id.toLowerCase()
  if (!/^[0-9a-f]{8,64}$/.test(prefix)) {
    throw new CliError(EXIT.usage, 'command', `"${id}" is not the id of a command: 64 hex digits, or the first 8 or more of them`)
  }
  const [found, ...others] = findCommands(home, prefix)
  if (found === undefined) {
    const hint = 'it is shown where it was sent from, and on nodes that accepted it: --home DIR names another home'
    throw new CliError(EXIT.local, 'unknown', `no command ${prefix}… was sent from ${home.dir} or accepted by its node`, hint)
  }
  if (others.length === 0) return found
  const ids = [found, ...others].map((each) => `\n  ${each.id}`).join('')
  throw new CliError(EXIT.usage, 'ambiguous', `${prefix}… is the beginning of several commands:${ids}`, 'give more of it')
}

interface Proof {
  readonly files: readonly string[]
  /** For a shell. */
  readonly line: string
}

/** Writes what was signed, the signature, and whose key counts; nothing where one of the files is there already. */
async function exportProof({ payload, signer, signature, author }: Envelope, id: string, dir: string): Promise<Proof> {
  const path = (kind: string): string => join(dir, `${id}.${kind}`)
  const contents: readonly (readonly [path: string, content: string | Uint8Array])[] = [
    [path('payload'), payload],
    [path('sig'), toSshsig(signer, NAMESPACE, signature)],
    [path('allowed_signers'), `${author} namespaces="${NAMESPACE}" ${formatPublicKey(signer)}\n`]
  ]
  const written: string[] = []
  try {
    await makeFolder(dir)
    for (const [file, content] of contents) {
      await writeNewFile(file, [content], 'remove it, or name another folder with --out DIR')
      written.push(file)
    }
  } catch (err) {
    await Promise.all(written.map((file) => rm(file, { force: true })))
    throw err
  }
  const [payloadFile, sigFile, allowedFile] = written.map(shellWord)
  const line = `ssh-keygen -Y verify -f ${allowedFile} -I ${author} -n ${NAMESPACE} -s ${sigFile} < ${payloadFile}`
  return { files: written, line }
}

interface Shown {
  readonly found: FoundCommand
  readonly command: Command
  readonly proof: Proof | undefined
}

function tell({ output }: Context, { found, command, proof }: Shown): void {
  const { id, author, network, pinset, time, operations } = command
  const signed = isoTime(time.ms)
  const accepted = found.acceptedAt === undefined ? null : isoTime(found.acceptedAt)
  output.event({
    event: 'command',
    command: id,
    author,
    network,
    pinset: pinset ?? null,
    time: signed,
    accepted,
    from: found.from,
    operations: operations.map(plainOperation),
    ...(proof === undefined ? {} : { files: proof.files, verify: proof.line })
  })
  if (proof !== undefined) {
    output.note(`Wrote what ${author} signed, the signature and the key to ${proof.files.length} files. Whoever has them checks with:`)
    output.result(proof.line)
    return
  }
  const rows = [
    ['command', id],
    ['author', `${author} (signature verified)`],
    ['network', network],
    ...(pinset === undefined ? [] : [['pinset', pinset]]),
    ['signed', signed],
    ...(accepted === null ? [] : [['accepted', accepted]])
  ]
  table(rows).forEach((line) => output.result(line))
  table(operations.map((operation) => ['', ...tellOperation(operation)])).forEach((line) => output.result(line))
}

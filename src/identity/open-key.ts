/** The key that commands are signed with, by the name that people give it: a file, its public half, or a key of ssh-agent. */
import { equals } from 'uint8arrays/equals'
import { createSeedSigner, type Signer } from '../protocol/signature.ts'
import { authorOf } from '../protocol/ssh-key.ts'
import { AgentError } from './errors.ts'
import { openKeyFile, readKeyMaterial, type AskPassphrase } from './key-file.ts'
import { agentSigner } from './ssh-agent.ts'

const AGENT = 'agent:'

/** How to come by a key. */
export interface OpenKeyOptions {
  /** Asked for the passphrase of an encrypted file. */
  readonly ask?: AskPassphrase
  /** Leaves the file locked until something is signed: for who only asks questions, or shows the public half. */
  readonly isLazy?: boolean
  /** Socket of the ssh-agent; `SSH_AUTH_SOCK` unless given. */
  readonly socket?: string
}

/** A key, ready to sign. */
export interface OpenKey {
  readonly signer: Signer
  /** Of a file that is still locked, what its `.pub` says. */
  readonly comment: string
  /** Where the private half is. */
  readonly place: { readonly file: string } | { readonly agent: string }
}

/**
 * Opens a key: `agent:COMMENT` or `agent:SHA256:…` in ssh-agent, else a file; for the public half of a key (`FILE.pub`) the agent is
 * asked, as ssh does. Throws `IdentityError` and {@link AgentError}.
 */
export async function openKey(name: string, { ask, isLazy = false, socket }: OpenKeyOptions = {}): Promise<OpenKey> {
  const agent = socket === undefined ? {} : { socket }
  if (name.startsWith(AGENT)) return inAgent(await agentSigner(name.slice(AGENT.length), agent))
  const material = await readKeyMaterial(name)
  if (material.kind === 'public') return openPublic(material.path, material.blob, agent)
  const { file } = material
  const place = { file: name }
  if (isLazy && file.isEncrypted) {
    return { signer: lockedSigner(file.blob, () => openKeyFile(material, ask)), comment: await commentBeside(name, file.blob), place }
  }
  const { seed, comment } = await openKeyFile(material, ask)
  return { signer: createSeedSigner(seed), comment, place }
}

async function openPublic(path: string, blob: Uint8Array, agent: { readonly socket?: string }): Promise<OpenKey> {
  try {
    return inAgent(await agentSigner(blob, agent))
  } catch (err) {
    if (!(err instanceof AgentError)) throw err
    throw new AgentError(err.code, `${path} is a public key, for ssh-agent to sign with, or else name the private one: ${err.message}`, {
      cause: err
    })
  }
}

function inAgent({ signer, comment }: { readonly signer: Signer; readonly comment: string }): OpenKey {
  return { signer, comment, place: { agent: comment === '' ? signer.author : comment } }
}

/** The comment in a locked file is locked too. */
async function commentBeside(path: string, blob: Uint8Array): Promise<string> {
  const beside = await readKeyMaterial(`${path}.pub`).catch(() => undefined)
  return beside?.kind === 'public' && equals(beside.blob, blob) ? beside.comment : ''
}

function lockedSigner(blob: Uint8Array, open: () => Promise<{ readonly seed: Uint8Array }>): Signer {
  let signer: Promise<Signer> | undefined
  return {
    blob,
    author: authorOf(blob),
    async sign(namespace, message) {
      signer ??= open().then(({ seed }) => createSeedSigner(seed))
      return (await signer).sign(namespace, message)
    }
  }
}

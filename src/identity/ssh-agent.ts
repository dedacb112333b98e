/** Signing through ssh-agent: the private key never enters this process. */
import { equals } from 'uint8arrays/equals'
import { signedBytes, verifySignature, type Signer } from '../protocol/signature.ts'
import { identitiesRequest, readIdentities, readSignature, signRequest, type AgentKey } from '../protocol/ssh-agent.ts'
import { authorOf, SSH_ED25519 } from '../protocol/ssh-key.ts'
import { sshReader } from '../protocol/ssh-wire.ts'
import { askAgent } from './agent-socket.ts'
import { AgentError } from './errors.ts'

/** Listing is a look into memory, milliseconds. */
const LIST_MS = 5_000
/** A person may have to confirm or to touch something, milliseconds. */
const SIGN_MS = 60_000
/** How many keys an error lists. */
const MAX_SHOWN = 10

/**
 * A signer over a key that the agent at `socket` (`SSH_AUTH_SOCK` unless given) holds, named by its comment, by `SHA256:` and the
 * beginning of its fingerprint, or by the SSH wire blob of its public half. Asks the agent which keys it has, and again at each
 * signature, which is verified before it is returned. Rejects, and `sign` does, with {@link AgentError}.
 */
export async function agentSigner(
  name: string | Uint8Array,
  options: { readonly socket?: string } = {}
): Promise<{ readonly signer: Signer; readonly comment: string }> {
  const socket = options.socket ?? process.env['SSH_AUTH_SOCK'] ?? ''
  if (socket === '') {
    throw new AgentError(
      'no-agent',
      'no ssh-agent: SSH_AUTH_SOCK is not set. Start one and add the key: eval "$(ssh-agent)" && ssh-add FILE'
    )
  }
  const keys = await answered(socket, identitiesRequest(), LIST_MS, readIdentities)
  if (keys === undefined) throw new AgentError('refused', `the ssh-agent at ${socket} does not list its keys`)
  const { blob, comment } = choose(keys, name)
  const author = authorOf(blob)
  return {
    comment,
    signer: {
      blob,
      author,
      async sign(namespace, message) {
        const signature = await answered(socket, signRequest(blob, signedBytes(namespace, message)), SIGN_MS, readSignature)
        if (signature === undefined) {
          const why = 'it is locked (ssh-add -X), no longer holds the key (ssh-add -l), or was told not to'
          throw new AgentError('refused', `the ssh-agent did not sign with ${author}: ${why}`)
        }
        if (verifySignature(blob, namespace, message, signature)) return signature
        throw new AgentError('broken', `what the ssh-agent at ${socket} signed does not fit ${author}`)
      }
    }
  }
}

async function answered<T>(socket: string, request: Uint8Array, timeoutMs: number, read: (answer: Uint8Array) => T): Promise<T> {
  const answer = await askAgent(socket, request, timeoutMs)
  try {
    return read(answer)
  } catch (err) {
    throw new AgentError('broken', `the ssh-agent at ${socket} (SSH_AUTH_SOCK) answered with something else than was asked for`, {
      cause: err
    })
  }
}

function choose(keys: readonly AgentKey[], name: string | Uint8Array): AgentKey {
  const isMeant = ({ blob, comment }: AgentKey): boolean => {
    if (typeof name !== 'string') return equals(blob, name)
    return name.startsWith('SHA256:') ? authorOf(blob).startsWith(name) : comment === name
  }
  const what = typeof name === 'string' ? JSON.stringify(name) : authorOf(name)
  const meant = keys.filter(isMeant)
  // A certificate, or a key of another type, often has the comment of the key that is meant.
  const usable = meant.filter(({ blob }) => typeOf(blob) === SSH_ED25519)
  const [found, ...others] = usable
  if (found !== undefined && others.length === 0) return found
  if (found !== undefined)
    throw new AgentError('ambiguous', `${what} names several keys of the ssh-agent: give more of the fingerprint.${list(usable)}`)
  if (meant.length > 0) throw new AgentError('key', `${what} is a key that cannot sign commands, only ${SSH_ED25519} can.${list(meant)}`)
  if (keys.length === 0)
    throw new AgentError('no-key', `the ssh-agent holds no key ${what}, nor any other: ssh-add FILE, or ssh-add -X if it is locked`)
  throw new AgentError('no-key', `the ssh-agent holds no key ${what} (ssh-add FILE adds one). It has:${list(keys)}`)
}

function list(keys: readonly AgentKey[]): string {
  const lines = keys
    .slice(0, MAX_SHOWN)
    .map(({ blob, comment }) => `\n  ${authorOf(blob)} ${typeOf(blob)} ${comment.replace(/\p{Cc}/gu, '?')}`)
  return `${lines.join('')}${keys.length > MAX_SHOWN ? `\n  and ${keys.length - MAX_SHOWN} more: ssh-add -l` : ''}`
}

function typeOf(blob: Uint8Array): string {
  try {
    return sshReader(blob).text()
  } catch {
    return 'unknown'
  }
}

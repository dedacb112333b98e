/**
 * What is said to an ssh-agent and what it says: listing keys and signing, each message with its length in front.
 * @see https://datatracker.ietf.org/doc/draft-ietf-sshm-ssh-agent/
 */
import { concat } from 'uint8arrays/concat'
import { SIGNATURE_BYTES } from './signature.ts'
import { SSH_ED25519 } from './ssh-key.ts'
import { sshReader, sshString, sshUint32, type SshReader } from './ssh-wire.ts'

/** No message is longer, as in OpenSSH's own agent. */
export const MAX_AGENT_MESSAGE_BYTES = 256 * 1024

/** More keys than anybody holds; their comments are shown. */
const MAX_KEYS = 2_048

const FAILURE = 5
const REQUEST_IDENTITIES = 11
const IDENTITIES_ANSWER = 12
const SIGN_REQUEST = 13
const SIGN_RESPONSE = 14

/** A key that an agent holds. */
export interface AgentKey {
  /** SSH wire blob, of whatever type. */
  readonly blob: Uint8Array
  readonly comment: string
}

/** Asks which keys there are. */
export function identitiesRequest(): Uint8Array {
  return sshString(Uint8Array.of(REQUEST_IDENTITIES))
}

/** Asks for a signature over `data` by the key in `blob`. */
export function signRequest(blob: Uint8Array, data: Uint8Array): Uint8Array {
  return sshString(concat([Uint8Array.of(SIGN_REQUEST), sshString(blob), sshString(data), sshUint32(0)]))
}

/** The keys in an answer (without its length); undefined where the agent refused. Throws `RangeError` for anything else. */
export function readIdentities(answer: Uint8Array): readonly AgentKey[] | undefined {
  const reader = body(answer, IDENTITIES_ANSWER)
  if (reader === undefined) return undefined
  const count = reader.uint32()
  if (count > MAX_KEYS) throw new RangeError('too many keys')
  return Array.from({ length: count }, () => ({ blob: reader.string().slice(), comment: reader.text() }))
}

/** The raw Ed25519 signature in an answer; undefined where the agent refused. Throws `RangeError` for anything else. */
export function readSignature(answer: Uint8Array): Uint8Array | undefined {
  const reader = body(answer, SIGN_RESPONSE)
  if (reader === undefined) return undefined
  const inner = sshReader(reader.string())
  const type = inner.text()
  const signature = inner.string()
  if (type !== SSH_ED25519 || signature.byteLength !== SIGNATURE_BYTES) throw new RangeError('no Ed25519 signature')
  return signature.slice()
}

function body(answer: Uint8Array, expected: number): SshReader | undefined {
  const reader = sshReader(answer)
  const [type] = reader.raw(1)
  if (type === FAILURE) return undefined
  if (type !== expected) throw new RangeError(`message ${type}`)
  return reader
}

/** Keys: blobs, key files, lines of the files of keys and nodes, and what an ssh-agent says. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { AgentError } from '../../../src/identity/errors.ts'
import { agentSigner } from '../../../src/identity/ssh-agent.ts'
import { InvalidTextError } from '../../../src/protocol/errors.ts'
import type { Derive } from '../../../src/protocol/openssh-cipher.ts'
import { formatPrivateKey, parsePrivateKey, readKeyFile } from '../../../src/protocol/openssh-private-key.ts'
import { readIdentities, readSignature } from '../../../src/protocol/ssh-agent.ts'
import {
  authorOf,
  blobOfNodeId,
  formatPublicKey,
  keyBlob,
  nodeIdOf,
  parseAuthor,
  parseKeyBase64,
  rawKey
} from '../../../src/protocol/ssh-key.ts'
import { sshString, sshUint32 } from '../../../src/protocol/ssh-wire.ts'
import { startFalseAgent } from '../../support/openssh.ts'
import { author, node, seedOf } from '../../vectors/source/make.ts'
import { requireSame, textOf, utf8, type Target } from '../target.ts'

const errors = [InvalidTextError]

/** Stands in for bcrypt, which takes a quarter of a second; it is handed no more rounds than are waited for. */
const derive: Derive = (passphrase, salt, rounds, length) => {
  assert.ok(rounds >= 1 && rounds <= 500 && salt.byteLength <= 1_024)
  return new Uint8Array(createHash('shake256', { outputLength: length }).update(passphrase).update(salt).digest())
}
const unlock = { passphrase: 'secret', derive }

const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----'
const END = '-----END OPENSSH PRIVATE KEY-----'
const armoured = (bytes: Uint8Array): string => `${BEGIN}\n${toString(bytes, 'base64pad')}\n${END}\n`
const bare = (text: string): Uint8Array => fromString(text.split('\n').slice(1, -2).join(''), 'base64pad')

const plain = formatPrivateKey(seedOf(1), 'you@laptop', 7)
const locked = formatPrivateKey(seedOf(1), 'you@laptop', 7, { unlock, salt: new Uint8Array(16).fill(5) })

/** What decrypts to a key is one, with whatever cipher it is said to be encrypted. */
function readPrivate(text: string): string {
  const file = readKeyFile(text)
  const { seed, blob, comment } = file.open(unlock)
  requireSame(blob, file.blob)
  requireSame(parsePrivateKey(formatPrivateKey(seed, comment, 1)), { seed, blob, comment })
  return file.isEncrypted ? 'locked' : 'plain'
}

function readNodeId(text: string): void {
  const blob = blobOfNodeId(text)
  requireSame(blobOfNodeId(nodeIdOf(blob)), blob)
}

const identities = Buffer.concat([
  Uint8Array.of(12),
  sshUint32(3),
  ...[author.blob, node.blob, Buffer.concat([sshString('ssh-rsa'), sshString('x')])].flatMap((blob, i) => [
    sshString(blob),
    sshString(`key ${i}`)
  ])
])
const MESSAGE = utf8('pin it')
const made = await author.sign('pinsub', MESSAGE)
const signature = Buffer.concat([Uint8Array.of(14), sshString(Buffer.concat([sshString('ssh-ed25519'), sshString(made)]))])

let said: Uint8Array = new Uint8Array()
let listening: ReturnType<typeof startFalseAgent> | undefined

/** The first byte is whether the answer is to the list or to the signature, the others are the message with its length. */
async function askAgent(bytes: Uint8Array): Promise<string> {
  const isList = ((bytes[0] ?? 0) & 1) === 0
  said = bytes.subarray(1)
  listening ??= startFalseAgent((request) => {
    const answer = isListed(request) === isListNow ? said : sshString(isListed(request) ? identities : signature)
    // Nobody waits five seconds here for what does not come.
    return answer.byteLength < 4 || Buffer.from(answer).readUInt32BE() > answer.byteLength - 4 ? 'hang up' : answer
  })
  isListNow = isList
  const { socket } = await listening
  const { signer } = await agentSigner(author.blob, { socket })
  await signer.sign('pinsub', MESSAGE)
  return signer.author
}
let isListNow = true
const isListed = (request: Uint8Array): boolean => request[4] === 11

/** Keys in bytes. */
export const KEYS: readonly Target[] = [
  {
    name: 'key-blob',
    form: 'bytes',
    errors,
    seeds: [author.blob, Buffer.concat([sshString('ssh-rsa'), sshString('x')])],
    run: (bytes) => requireSame(keyBlob(rawKey(bytes)), bytes)
  },
  {
    name: 'private-key',
    form: 'text',
    errors,
    seeds: [plain, locked, '-----BEGIN RSA PRIVATE KEY-----\n'].map(utf8),
    words: [BEGIN, END, '='],
    run: (bytes) => readPrivate(textOf(bytes))
  },
  {
    name: 'private-key-body',
    form: 'bytes',
    errors,
    seeds: [
      bare(plain),
      bare(locked),
      ...['aes128-cbc', 'aes256-gcm@openssh.com', 'constructor', '__proto__', 'chacha20-poly1305@openssh.com'].map((cipher) =>
        Buffer.concat([
          bare(locked).subarray(0, 15),
          sshString(cipher),
          bare(locked).subarray(15 + sshString('aes256-ctr').byteLength),
          ...(cipher.includes('gcm') ? [new Uint8Array(16)] : [])
        ])
      )
    ],
    run: (bytes) => readPrivate(armoured(bytes))
  },
  {
    name: 'key-base64',
    form: 'text',
    errors,
    seeds: [utf8(toString(author.blob, 'base64pad')), utf8(formatPublicKey(node.blob).split(' ')[1] as string)],
    run: (bytes) => authorOf(parseKeyBase64(textOf(bytes))).length
  },
  { name: 'node-id', form: 'text', errors, seeds: [utf8(nodeIdOf(node.blob))], run: (bytes) => readNodeId(textOf(bytes)) },
  {
    name: 'fingerprint',
    form: 'text',
    errors,
    seeds: [utf8(author.author)],
    run: (bytes) => requireSame(parseAuthor(textOf(bytes)), textOf(bytes))
  },
  {
    name: 'agent-identities',
    form: 'bytes',
    errors: [RangeError],
    seeds: [identities, Uint8Array.of(5)],
    run: (bytes) => readIdentities(bytes)?.length
  },
  {
    name: 'agent-signature',
    form: 'bytes',
    errors: [RangeError],
    seeds: [signature, Uint8Array.of(5)],
    run: (bytes) => readSignature(bytes)?.byteLength
  },
  {
    name: 'agent',
    form: 'bytes',
    errors: [AgentError],
    seeds: [Buffer.concat([Uint8Array.of(0), sshString(identities)]), Buffer.concat([Uint8Array.of(1), sshString(signature)])],
    cost: 200,
    run: askAgent,
    stop: async () => (await listening)?.[Symbol.asyncDispose]()
  }
]

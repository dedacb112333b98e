/** What OpenSSH's own tool says of our keys and signatures. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from '@ipld/dag-cbor'
import { base58btc } from 'multiformats/bases/base58'
import { fromString } from 'uint8arrays/from-string'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VECTORS } from '../../scripts/vectors.ts'
import { loadBcrypt } from '../../src/identity/bcrypt.ts'
import { openEnvelope } from '../../src/protocol/envelope.ts'
import { formatPrivateKey, parsePrivateKey, readKeyFile } from '../../src/protocol/openssh-private-key.ts'
import { createSeedSigner, toSshsig } from '../../src/protocol/signature.ts'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'

interface KeyVector {
  readonly seed: string
  readonly publicKey: string
  readonly line: string
  readonly fingerprint: string
  readonly peerId: string
  readonly privateKeyFile: string
}

/** Where the two equal check numbers begin in an unencrypted Ed25519 key: behind the magic, four strings, a count and the public key. */
const CHECK_OFFSET = 15 + 8 + 8 + 4 + 4 + 55 + 4

const derive = await loadBcrypt()
const unlock = { passphrase: 'secret', derive }

/** Where the salt begins in an encrypted key: behind the magic, the names of cipher and kdf, and two lengths. */
const SALT_OFFSET = 15 + 4 + 10 + 4 + 6 + 4 + 4

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')) as unknown
const keys = read('keys.json') as KeyVector[]
const found = spawnSync('ssh-keygen', ['-Y', 'check-novalidate'], { stdio: 'ignore' }).error === undefined

test('a peer id is the identity multihash of the key in protobuf, in base58', () => {
  for (const { publicKey, peerId } of keys) {
    expect(base58btc.encode(fromString(`0024080112${'20'}${publicKey}`, 'hex')).slice(1)).toBe(peerId)
  }
})

if (!found) {
  test.skip('SKIPPED: no ssh-keygen on PATH, so our OpenSSH formats are NOT checked against OpenSSH', () => {})
}

describe.runIf(found)('ssh-keygen', () => {
  let dir: string
  const file = (name: string): string => join(dir, name)
  const keygen = (args: string[], input?: Uint8Array): string =>
    execFileSync('ssh-keygen', args, { cwd: dir, encoding: 'utf8', ...(input === undefined ? {} : { input }) })

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'pinsub-openssh-'))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  test('prints our fingerprints and derives our public keys', () => {
    for (const [i, { line, fingerprint, privateKeyFile }] of keys.entries()) {
      writeFileSync(file(`${i}.pub`), `${line}\n`)
      expect(keygen(['-l', '-f', `${i}.pub`])).toContain(` ${fingerprint} you@laptop`)
      writeFileSync(file(`key${i}`), privateKeyFile)
      chmodSync(file(`key${i}`), 0o600)
      expect(keygen(['-y', '-f', `key${i}`]).trim()).toBe(line)
    }
  })

  test('verifies the signature of every signature and command vector', () => {
    const signatures = read('signatures.json') as { signer: string; namespace: string; message: string; sshsig: string }[]
    const commands = (read('commands.json') as { envelope: string }[]).map(({ envelope }) => openEnvelope(fromString(envelope, 'hex')))
    const all = [
      ...signatures.map((vector) => ({ ...vector, signer: fromString(vector.signer, 'hex'), message: fromString(vector.message, 'hex') })),
      ...commands.map(({ signer, payload, signature }) => ({
        signer,
        namespace: 'pinsub',
        message: payload,
        sshsig: toSshsig(signer, 'pinsub', signature)
      }))
    ]
    for (const { signer, namespace, message, sshsig } of all) {
      writeFileSync(file('allowed'), `you@laptop namespaces="${namespace}" ${formatPublicKey(signer)}\n`)
      writeFileSync(file('signature'), sshsig)
      const said = keygen(['-Y', 'verify', '-f', 'allowed', '-I', 'you@laptop', '-n', namespace, '-s', 'signature'], message)
      expect(said).toContain('Good')
    }
  })

  test('refuses the same signature for another message and another purpose', () => {
    const [first] = read('signatures.json') as [{ sshsig: string }]
    writeFileSync(file('signature'), first.sshsig)
    const check = (namespace: string, message: string): number | null =>
      spawnSync('ssh-keygen', ['-Y', 'check-novalidate', '-n', namespace, '-s', 'signature'], { cwd: dir, input: message }).status
    expect(check('pinsub', '')).toBe(0)
    expect(check('pinsub', 'x')).not.toBe(0)
    expect(check('pinsub-ack', '')).not.toBe(0)
  })

  test('signs as we do, with a key that it made', async () => {
    keygen(['-q', '-t', 'ed25519', '-N', '', '-C', 'made by ssh-keygen', '-f', 'made'])
    const key = parsePrivateKey(readFileSync(file('made'), 'utf8'))
    expect(key.comment).toBe('made by ssh-keygen')
    expect(formatPublicKey(key.blob, key.comment)).toBe(readFileSync(file('made.pub'), 'utf8').trim())
    writeFileSync(file('message'), 'pin it')
    keygen(['-q', '-Y', 'sign', '-f', 'made', '-n', 'pinsub', 'message'])
    const ours = await createSeedSigner(key.seed).sign('pinsub', Buffer.from('pin it'))
    expect(toSshsig(key.blob, 'pinsub', ours)).toBe(readFileSync(file('message.sig'), 'utf8'))
  })

  test('writes the very bytes that we write for one of its keys', () => {
    keygen(['-q', '-t', 'ed25519', '-N', '', '-C', 'c', '-f', 'same'])
    const text = readFileSync(file('same'), 'utf8')
    const raw = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64')
    const check = raw.readUInt32BE(CHECK_OFFSET)
    expect(formatPrivateKey(parsePrivateKey(text).seed, 'c', check)).toBe(text)
  })

  test('writes the very bytes that we write for an encrypted one', () => {
    keygen(['-q', '-t', 'ed25519', '-N', 'secret', '-a', '24', '-C', 'c', '-f', 'locked-same'])
    const text = readFileSync(file('locked-same'), 'utf8')
    const raw = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64')
    const salt = raw.subarray(SALT_OFFSET, SALT_OFFSET + 16)
    const { seed } = parsePrivateKey(text, unlock)
    const locked = { unlock, salt }
    const ours = Buffer.from(formatPrivateKey(seed, 'c', 0, locked).split('\n').slice(1, -2).join(''), 'base64')
    expect(ours.byteLength).toBe(raw.byteLength)
    // In counter mode the check numbers change the first eight bytes of what is encrypted and no other.
    const sealed = raw.byteLength - ours.readUInt32BE(SALT_OFFSET + 16 + 4 + 4 + 4 + 51)
    expect(ours.subarray(0, sealed)).toEqual(raw.subarray(0, sealed))
    expect(ours.subarray(sealed + 8)).toEqual(raw.subarray(sealed + 8))
  })

  test('reads the certificate that a vector has as a signer', () => {
    const vector = (read('broken.json') as { name: string; envelope: string }[]).find(({ name }) => name === 'signer-certificate')
    const { signer } = decode<{ signer: Uint8Array }>(fromString(vector?.envelope ?? '', 'hex'))
    writeFileSync(file('cert.pub'), `ssh-ed25519-cert-v01@openssh.com ${Buffer.from(signer).toString('base64')}\n`)
    expect(keygen(['-L', '-f', 'cert.pub'])).toMatch(/user certificate[\s\S]*Valid: forever/)
    expect(keygen(['-l', '-f', 'cert.pub'])).toContain(keys[0]?.fingerprint)
  })

  test('an encrypted key and an RSA key are named as such', () => {
    keygen(['-q', '-t', 'ed25519', '-N', 'secret', '-f', 'locked'])
    const locked = readKeyFile(readFileSync(file('locked'), 'utf8'))
    expect(formatPublicKey(locked.blob)).toBe(readFileSync(file('locked.pub'), 'utf8').split(' ').slice(0, 2).join(' '))
    expect(() => locked.open()).toThrow(/passphrase/)
    expect(() => locked.open({ passphrase: 'Secret', derive })).toThrow('wrong passphrase')
    keygen(['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', 'rsa'])
    expect(() => parsePrivateKey(readFileSync(file('rsa'), 'utf8'))).toThrow(/ssh-rsa/)
    keygen(['-q', '-t', 'ed25519', '-N', '', '-f', 'two'])
    const pem = keygen(['-e', '-m', 'PKCS8', '-f', 'rsa.pub'])
    expect(() => parsePrivateKey(pem)).toThrow(/PUBLIC KEY/)
  })
})

/** Signers that are reserved: keys as OpenSSH writes them, real but for the FIDO key, which no device stands behind. */
import { createPrivateKey, sign } from 'node:crypto'
import { concat } from 'uint8arrays/concat'
import { publicKeyOfSeed } from '../../../src/protocol/signature.ts'
import { keyBlob } from '../../../src/protocol/ssh-key.ts'
import { sshString, sshUint32 } from '../../../src/protocol/ssh-wire.ts'
import { seedOf, sha256 } from './make.ts'

/** RFC 8410: the header of an Ed25519 private key. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

const never = new Uint8Array(8).fill(0xff)
const serial = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1)

/** A user certificate for `you`, valid for ever, that the key of seed 3 made for the key of seed 1. */
export function certificate(): Uint8Array {
  const body = concat([
    sshString('ssh-ed25519-cert-v01@openssh.com'),
    sshString(sha256('nonce')),
    sshString(publicKeyOfSeed(seedOf(1))),
    serial,
    sshUint32(1),
    sshString('you'),
    sshString(sshString('you')),
    new Uint8Array(8),
    never,
    sshString(''),
    sshString(''),
    sshString(''),
    sshString(keyBlob(publicKeyOfSeed(seedOf(3))))
  ])
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seedOf(3)]), format: 'der', type: 'pkcs8' })
  return concat([body, sshString(concat([sshString('ssh-ed25519'), sshString(sign(null, body, key))]))])
}

/** The public half of a FIDO key. */
export const fidoKey = concat([
  sshString('sk-ssh-ed25519@openssh.com'),
  sshString(publicKeyOfSeed(seedOf(1))),
  sshString('ssh:')
])

/** A signature as it would be written for it: 64 bytes of Ed25519, the flags, the counter. */
export const fidoSignature = concat([new Uint8Array(64), Uint8Array.of(1), sshUint32(7)])

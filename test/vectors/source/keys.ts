import { authorOf, formatPublicKey, nodeIdOf, rawKey } from '../../../src/protocol/ssh-key.ts'
import { createSeedSigner, signedBytes, toSshsig, type Namespace } from '../../../src/protocol/signature.ts'
import { formatPrivateKey } from '../../../src/protocol/openssh-private-key.ts'
import { author, cbor, commandFields, hex, node, seedOf, sha256 } from './make.ts'

/** One key in every form in which it occurs. */
export function keyVectors(): unknown[] {
  const seeds: [string, Uint8Array][] = [
    ['the author of the command vectors', seedOf(1)],
    ['the node of the ack and presence vectors', seedOf(2)],
    ['RFC 8032, section 7.1, test 1', Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')],
    ['a seed from a hash', sha256('pinsub')]
  ]
  return seeds.map(([comment, seed], index) => {
    const { blob } = createSeedSigner(seed)
    return {
      comment,
      seed: hex(seed),
      publicKey: hex(rawKey(blob)),
      blob: hex(blob),
      line: formatPublicKey(blob, 'you@laptop'),
      fingerprint: authorOf(blob),
      peerId: nodeIdOf(blob),
      privateKeyFile: formatPrivateKey(seed, 'you@laptop', index + 1)
    }
  })
}

/** Signatures with all that leads to them. */
export async function signatureVectors(): Promise<unknown[]> {
  const cases: [string, typeof author, Namespace, Uint8Array][] = [
    ['an empty message', author, 'pinsub', new Uint8Array()],
    ['three bytes', author, 'pinsub', Uint8Array.of(0x61, 0x62, 0x63)],
    ['a command payload', author, 'pinsub', cbor(commandFields())],
    ['three bytes as an ack', node, 'pinsub-ack', Uint8Array.of(0x61, 0x62, 0x63)],
    ['three bytes as a presence', node, 'pinsub-presence', Uint8Array.of(0x61, 0x62, 0x63)]
  ]
  return Promise.all(
    cases.map(async ([comment, signer, namespace, message]) => {
      const signature = await signer.sign(namespace, message)
      return {
        comment,
        signer: hex(signer.blob),
        namespace,
        message: hex(message),
        preimage: hex(signedBytes(namespace, message)),
        signature: hex(signature),
        sshsig: toSshsig(signer.blob, namespace, signature)
      }
    })
  )
}

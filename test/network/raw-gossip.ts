/** A peer that writes gossipsub's frames by hand, as one may that is not ours. */
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { RPC } from '@libp2p/gossipsub/message'
import type { PrivateKey, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { varint } from 'multiformats'
import { concat } from 'uint8arrays'
import { createHost } from '../../src/network/host.ts'
import { bytesOf, NETWORK } from './helpers.ts'

/** The peer. */
export interface RawPeer extends AsyncDisposable {
  /** Its side of the stream. */
  readonly stream: Stream
  /** A command as gossipsub signs it, with the peer's key unless said. */
  message(bytes: Uint8Array, key?: PrivateKey): Promise<RPC.Message>
  /** Sends one frame; waits while the stream is full. */
  send(messages: readonly RPC.Message[]): Promise<void>
}

/** Starts one that is linked to `address` (a multiaddr with /p2p). */
export async function startRawPeer(address: string): Promise<RawPeer> {
  const privateKey = await generateKeyPair('Ed25519')
  const host = await createHost({ privateKey, listen: [] })
  await host.start()
  const stream = await (await host.libp2p.dial(multiaddr(address))).newStream('/meshsub/1.1.0')
  let count = 0
  return {
    stream,
    async message(data, key = privateKey) {
      const seqno = new Uint8Array(8)
      new DataView(seqno.buffer).setUint32(4, ++count)
      const message = { from: key.publicKey.toMultihash().bytes, data, seqno, topic: `/pinsub/1/${NETWORK}/commands` }
      const signature = await key.sign(concat([bytesOf('libp2p-pubsub:'), RPC.Message.encode(message)]))
      return { ...message, signature, key: publicKeyToProtobuf(key.publicKey) }
    },
    async send(messages) {
      const frame = RPC.encode({ subscriptions: [], messages: [...messages] })
      const length = varint.encodeTo(frame.byteLength, new Uint8Array(varint.encodingLength(frame.byteLength)))
      if (!stream.send(concat([length, frame]))) await stream.onDrain()
    },
    [Symbol.asyncDispose]: () => host.stop()
  }
}

import { readFileSync } from 'node:fs'
import { fromString } from 'uint8arrays/from-string'
import { describe, expect, test } from 'vitest'
import { vectorFiles, VECTORS } from '../../scripts/vectors.ts'
import { decodeAck } from '../../src/protocol/ack.ts'
import { decodeCommand } from '../../src/protocol/command.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_PRESENCE_BYTES } from '../../src/protocol/limits.ts'
import { parsePrivateKey } from '../../src/protocol/openssh-private-key.ts'
import { compareRank, type Rank } from '../../src/protocol/order.ts'
import { decodePresence } from '../../src/protocol/presence.ts'
import { decodeQueryPage, decodeQueryRequest, decodeRefusal } from '../../src/protocol/query.ts'
import { createSeedSigner, signedBytes, toSshsig, verifySignature, type Namespace } from '../../src/protocol/signature.ts'
import { authorOf, blobOfNodeId, formatPublicKey, nodeIdOf, parseKeyBase64 } from '../../src/protocol/ssh-key.ts'
import { decodeSyncAnswer, decodeSyncAsk } from '../../src/protocol/sync/messages.ts'
import { decide, type Register, type Standing } from '../../src/protocol/wish.ts'
import { vectorOutcome, type AdminVector } from '../vectors/source/admin.ts'
import { hex } from '../vectors/source/make.ts'
import { plain } from '../vectors/source/plain.ts'

type Vector = Record<string, unknown> & { readonly name: string; readonly comment: string }

const read = (file: string): Vector[] => JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')) as Vector[]
const unhex = (text: unknown): Uint8Array => fromString(text as string, 'hex')

function faultOf(work: () => unknown): string {
  try {
    work()
  } catch (err) {
    if (err instanceof InvalidMessageError) return err.code
    throw err
  }
  return 'none'
}

test('the generator gives the committed files', async () => {
  for (const [name, text] of await vectorFiles()) expect(readFileSync(new URL(name, VECTORS), 'utf8'), name).toBe(text)
})

describe('commands', () => {
  test.each(read('commands.json'))('$name: $comment', ({ network, id, author, envelope, command }) => {
    const decoded = decodeCommand(verifyEnvelope(openEnvelope(unhex(envelope))), network as string)
    const { pinset, time, operations } = decoded
    expect(decoded).toMatchObject({ id, author, network })
    expect(plain({ pinset, time, operations })).toEqual(command)
  })
})

describe('acks', () => {
  test.each(read('acks.json'))('$name: $comment', ({ network, envelope, ack }) => {
    const { node, ...decoded } = decodeAck(verifyEnvelope(openEnvelope(unhex(envelope))), network as string)
    expect(plain(decoded)).toEqual(ack)
    expect(node).toBe(nodeIdOf(createSeedSigner(new Uint8Array(32).fill(2)).blob))
  })
})

describe('presences', () => {
  test.each(read('presences.json'))('$name: $comment', ({ network, envelope, presence }) => {
    const { node: _node, ...decoded } = decodePresence(verifyEnvelope(openEnvelope(unhex(envelope), MAX_PRESENCE_BYTES)), network as string)
    expect(plain(decoded)).toEqual(presence)
  })
})

describe('broken envelopes', () => {
  test.each(read('broken.json'))('$name: $comment', ({ expected, code, envelope, repeat }) => {
    const { byte, count } = (repeat ?? {}) as { byte: string; count: number }
    const bytes = envelope === undefined ? new Uint8Array(count).fill(Number.parseInt(byte, 16)) : unhex(envelope)
    const fault = faultOf(() => {
      const verified = verifyEnvelope(openEnvelope(bytes, expected === 'presence' ? MAX_PRESENCE_BYTES : undefined))
      if (expected === 'command') return decodeCommand(verified, 'blue-otter-7f3a')
      return (expected === 'ack' ? decodeAck : decodePresence)(verified, 'blue-otter-7f3a')
    })
    expect(fault).toBe(code)
  })
})

describe('admin operations', () => {
  test.each(read('admin.json') as unknown as AdminVector[])('$name: $comment', ({ file, commands, keys, states, nodes }) => {
    expect(vectorOutcome(file, commands)).toEqual({ keys, states, nodes })
    expect(vectorOutcome(file, commands.toReversed())).toEqual({ keys, states, nodes })
  })
})

describe('queries', () => {
  const readers = { request: decodeQueryRequest, page: decodeQueryPage, refusal: decodeRefusal }
  test.each(read('queries.json'))('$name', ({ kind, bytes, value, code }) => {
    const decode = (): unknown => readers[kind as keyof typeof readers](unhex(bytes))
    if (code === undefined) expect(plain(decode())).toEqual(value)
    else expect(faultOf(decode)).toBe(code)
  })
})

describe('sync messages', () => {
  const readers = { ask: decodeSyncAsk, answer: decodeSyncAnswer }
  test.each(read('sync-messages.json'))('$name', ({ kind, bytes, value, code }) => {
    const decode = (): unknown => readers[kind as keyof typeof readers](unhex(bytes))
    if (code === undefined) expect(plain(decode())).toEqual(value)
    else expect(faultOf(decode)).toBe(code)
  })
})

describe('keys', () => {
  test.each(read('keys.json'))('$comment', ({ seed, blob, line, fingerprint, peerId, privateKeyFile }) => {
    const signer = createSeedSigner(unhex(seed))
    expect(hex(signer.blob)).toBe(blob)
    expect([authorOf(signer.blob), nodeIdOf(signer.blob), formatPublicKey(signer.blob, 'you@laptop')]).toEqual([fingerprint, peerId, line])
    expect(hex(blobOfNodeId(peerId as string))).toBe(blob)
    expect(hex(parseKeyBase64((line as string).split(' ')[1] as string))).toBe(blob)
    const file = parsePrivateKey(privateKeyFile as string)
    expect([hex(file.seed), hex(file.blob), file.comment]).toEqual([seed, blob, 'you@laptop'])
  })
})

describe('signatures', () => {
  test.each(read('signatures.json'))('$comment', ({ signer, namespace, message, preimage, signature, sshsig }) => {
    const [blob, name, body] = [unhex(signer), namespace as Namespace, unhex(message)]
    expect(hex(signedBytes(name, body))).toBe(preimage)
    expect(verifySignature(blob, name, body, unhex(signature))).toBe(true)
    expect(toSshsig(blob, name, unhex(signature))).toBe(sshsig)
  })
})

test('order', () => {
  const [{ ranks }] = read('order.json') as unknown as [{ ranks: { at: [number, number]; time: [number, number]; command: string }[] }]
  const all: Rank[] = ranks.map(({ at, time, command }) => ({ at: hlc(at), time: hlc(time), command }))
  for (const [i, a] of all.entries()) {
    for (const [j, b] of all.entries()) expect(Math.sign(compareRank(a, b))).toBe(Math.sign(i - j))
  }
})

interface WishVector {
  readonly comment: string
  readonly pinset: string
  readonly now: number
  readonly standings: readonly ({ author: string; voided: boolean; closedAt?: number } & Record<string, unknown>)[]
  readonly registers: readonly ({ at: [number, number]; time: [number, number]; command: string } & Record<string, unknown>)[]
  readonly wish: { readonly want: string; readonly by?: number; readonly until?: number }
}

describe('wish', () => {
  test.each(read('wish.json') as unknown as WishVector[])('$comment', ({ pinset, now, standings, registers, wish }) => {
    const known = new Map(
      standings.map(({ author, voided, closedAt, ...grant }) => [
        author,
        {
          grant: { author, comment: '', admin: false, ...grant },
          voided,
          ...(closedAt === undefined ? {} : { closedAt })
        } as unknown as Standing
      ])
    )
    const said = registers.map(
      ({ at, time, command, ...rest }) => ({ ...rest, index: 0, rank: { at: hlc(at), time: hlc(time), command } }) as unknown as Register
    )
    const { by, ...answer } = decide(said, pinset, (author) => known.get(author), now)
    expect({ ...answer, ...(by === undefined ? {} : { by: said.indexOf(by) }) }).toEqual(wish)
  })
})

function hlc([ms, counter]: [number, number]): { ms: number; counter: number } {
  return { ms, counter }
}

import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { AdminOperation } from '../../src/protocol/admin-operations.ts'
import { encodeCommand, type CommandInit } from '../../src/protocol/command.ts'
import { commandId, sealEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import type { Grant, Right } from '../../src/protocol/grants.ts'
import { createSeedSigner, type Signer } from '../../src/protocol/signature.ts'

/** A key made from a name, the same every time. */
export function author(name: string): Signer {
  return createSeedSigner(createHash('sha256').update(name).digest())
}

/** The CID of a raw block that says `text`. */
export function cidOf(text: string): CID {
  return CID.createV1(raw.code, createDigest(0x12, createHash('sha256').update(text).digest()))
}

/** A line for a key. */
export function grantOf(signer: Signer, rest: Partial<Grant> = {}): Grant {
  const rights: readonly Right[] = ['pin', 'unpin']
  return { author: signer.author, comment: '', rights, admin: false, ...rest }
}

/** A signed command without a pinset. */
export async function adminCommand(
  signer: Signer,
  ms: number,
  ...operations: readonly AdminOperation[]
): Promise<{ bytes: Uint8Array; id: CommandId }> {
  const payload = encodeCommand({ network: 'net', time: { ms, counter: 0 }, operations }, signer.blob)
  const { bytes } = await sealEnvelope('command', payload, signer)
  return { bytes, id: commandId(payload) }
}

/** A signed command, as bytes on the wire, and its id. */
export async function command(
  signer: Signer,
  init: Partial<CommandInit> & Pick<CommandInit, 'operations' | 'time'>
): Promise<{ bytes: Uint8Array; id: CommandId }> {
  const { payload, bytes } = await sealEnvelope(
    'command',
    encodeCommand({ network: 'net', pinset: 'default', ...init }, signer.blob),
    signer
  )
  return { bytes, id: commandId(payload) }
}

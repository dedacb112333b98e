import { operationBytes, type CommandInit } from '../protocol/command.ts'
import { MAX_ENVELOPE_BYTES, MAX_OPERATIONS } from '../protocol/limits.ts'

/** What an envelope needs beside its operations: keys, names, signature and signer; measured at 330, rounded up. */
const FRAME_BYTES = 1_024

/** Splits operations into as few commands as fit their envelopes, in order. */
export function bundle<T extends CommandInit['operations'][number]>(operations: readonly T[]): T[][] {
  const groups: T[][] = []
  let room = 0
  for (const operation of operations) {
    const size = operationBytes(operation)
    const group = groups.at(-1)
    if (group === undefined || group.length === MAX_OPERATIONS || size > room) {
      groups.push([operation])
      room = MAX_ENVELOPE_BYTES - FRAME_BYTES - size
    } else {
      group.push(operation)
      room -= size
    }
  }
  return groups
}

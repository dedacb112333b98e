/** Commands without a pinset, as who may command is worked out from them. */
import type { AdminCommand } from '../protocol/admin.ts'
import { isAdminOperation } from '../protocol/admin-operations.ts'
import { decodeCommand, type Command } from '../protocol/command.ts'
import { openEnvelope } from '../protocol/envelope.ts'
import type { StoredCommand } from '../protocol/records.ts'

/** A command with its operations in their places. */
export function adminCommand({ id, author, time, operations }: Command, acceptedAt: number): AdminCommand {
  return { id, author, time, acceptedAt, operations: operations.map((one) => (isAdminOperation(one) ? one : undefined)) }
}

/** One that was verified when it was stored. */
export function readAdminCommand({ envelope, acceptedAt }: Pick<StoredCommand, 'envelope' | 'acceptedAt'>, network: string): AdminCommand {
  return adminCommand(decodeCommand(openEnvelope(envelope), network), acceptedAt)
}

/** First contact: who answers at an address that came without an id is believed once and written down, as ssh does with host keys. */
import { addContact } from '../identity/known-nodes-file.ts'
import { hostPort } from '../network/addresses.ts'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { Log } from './ports.ts'

/** Whoever sits at an address can show a new id with each dial: it is told of no more often, milliseconds. */
const AGAIN_MS = 60_000

/** Makes it; the returned function takes the address that was dialled, and who answered. It never rejects. */
export function createFirstContact(
  { file }: { readonly file: string },
  { clock, log }: { readonly clock: Clock; readonly log: Log }
): (address: string, node: NodeId) => Promise<void> {
  const told = new Map<string, { readonly node: NodeId; readonly at: number }>()

  const warn = (where: string, node: NodeId, text: string): void => {
    const last = told.get(where)
    if (last !== undefined && (last.node === node || clock.now() < last.at + AGAIN_MS)) return
    told.set(where, { node, at: clock.now() })
    log.warn(text)
  }

  return async (address, node) => {
    const where = hostPort(address)
    try {
      const contact = await addContact(file, node, where, new Date(clock.now()).toISOString().slice(0, 10))
      switch (contact.kind) {
        case 'first':
          return log.info(
            `first contact: ${where} is ${node}; it is trusted from now on (${file}): compare the id with what it shows there`
          )
        case 'changed':
          return warn(
            where,
            node,
            `${where} ANSWERS AS ANOTHER NODE: as ${node}, and at first contact it was ${contact.was}. It has a new key, or somebody sits between. It is not trusted. If it is right: pinsub nodes distrust ${contact.was} && pinsub nodes trust ${node}`
          )
        case 'distrusted':
          return warn(where, node, `${where} is ${node}, which is distrusted in ${file}: pinsub nodes trust ${node} takes that back`)
        case 'known':
      }
    } catch (err) {
      warn(where, node, `cannot note the first contact with ${where}: ${err instanceof Error ? err.message : String(err)}`)
    }
  }
}

/** Says on the acks topic what this node is, signed: at the start, to whoever subscribes, when told, and at intervals. */
import type { Clock } from '../protocol/clock.ts'
import { sealEnvelope, type Envelope, type Verified } from '../protocol/envelope.ts'
import { MAX_ADDRESSES, MAX_DIGESTS, MAX_PRESENCE_BYTES, PRESENCE_AGAIN_MS, PRESENCE_BURST } from '../protocol/limits.ts'
import { encodePresence, type Presence } from '../protocol/presence.ts'
import type { Signer } from '../protocol/signature.ts'
import type { Bus } from './bus.ts'
import { createLevels } from './levels.ts'

/** The announcer of one node. */
export interface Announcer {
  start(): Promise<void>
  stop(): Promise<void>
  /** Something changed: announces it shortly, several calls at once; after {@link PRESENCE_BURST} of these they have {@link PRESENCE_AGAIN_MS} between them. */
  announceSoon(): void
  /** The presence last signed, or one signed now; for who asks directly. */
  current(): Promise<Verified<Envelope>>
}

/** What the announcer needs. */
export interface AnnouncerPorts {
  readonly bus: Bus
  readonly signer: Signer
  readonly clock: Clock
  /** What is so now. Addresses beyond {@link MAX_ADDRESSES} are left out, and the last of the sets where they do not fit. */
  describe(): Promise<Omit<Presence, 'node' | 'sequence' | 'time'>>
  /** Grows over restarts. */
  nextSequence(): number
  /** Between 0 and 1. */
  random(): number
}

/** Gathers the newcomers of a moment; a sender waits for this to learn who is there, so it is short. */
const SOON_MS = 50

/** What is counted: announcements beside those at intervals. */
const SOON = 'soon'

/** Makes the announcer; `intervalMs` is 30,000 unless said. */
export function createAnnouncer(options: { readonly network: string; readonly intervalMs?: number }, ports: AnnouncerPorts): Announcer {
  const { network, intervalMs = 30_000 } = options
  const { bus, signer, clock, random } = ports
  const said = createLevels({ perSecond: 1_000 / PRESENCE_AGAIN_MS, most: PRESENCE_BURST, kept: 1 }, { clock })
  let latest: Promise<Verified<Envelope>> | undefined
  let cancelSoon: (() => void) | undefined
  let cancelNext: (() => void) | undefined
  let unsubscribe: (() => void) | undefined
  let ended: AbortController | undefined
  let sending: Promise<void> = Promise.resolve()

  const sign = async (): Promise<Verified<Envelope>> => {
    const { addresses, backend, sets = [], ...rest } = await ports.describe()
    const presence = {
      ...rest,
      addresses: addresses.slice(0, MAX_ADDRESSES),
      backend: { ...backend, addresses: backend.addresses.slice(0, MAX_ADDRESSES) },
      sequence: ports.nextSequence(),
      time: clock.now()
    }
    for (let most = MAX_DIGESTS; ; most = Math.floor(most / 2)) {
      const payload = encodePresence(network, { ...presence, sets: sets.slice(0, most) })
      const envelope = await sealEnvelope('presence', payload, signer)
      if (most === 0 || envelope.bytes.byteLength <= MAX_PRESENCE_BYTES) return envelope
    }
  }

  const announce = async (signal: AbortSignal): Promise<void> => {
    // What was said last is not what is so now, though nobody is there to be told.
    latest = undefined
    // Whoever subscribes later is told then.
    if (signal.aborted || bus.subscribers('acks').length === 0) return
    try {
      const made = sign()
      latest = made
      const { bytes } = await made
      await bus.publish('acks', bytes, { signal: AbortSignal.any([signal, AbortSignal.timeout(intervalMs)]) })
    } catch {
      // A presence that could not be told now is replaced by the next.
      latest = undefined
    }
  }

  const go = (): void => {
    cancelSoon = undefined
    const signal = ended?.signal
    if (signal === undefined) return
    cancelNext?.()
    // A quarter to each side, so that nodes that started together do not stay together.
    cancelNext = clock.after(intervalMs * (0.75 + random() / 2), go)
    sending = sending.then(() => announce(signal))
  }

  const announceSoon = (): void => {
    latest = undefined
    if (ended === undefined) return
    cancelSoon ??= clock.after(Math.max(SOON_MS, (said.get(SOON) + 1 - PRESENCE_BURST) * PRESENCE_AGAIN_MS), () => {
      said.add(SOON, 1)
      go()
    })
  }

  return {
    start: async () => {
      if (ended !== undefined) return
      ended = new AbortController()
      unsubscribe = bus.onSubscribe((_peer, topic) => {
        if (topic === 'acks') announceSoon()
      })
      go()
    },
    stop: async () => {
      ended?.abort()
      ended = undefined
      unsubscribe?.()
      cancelSoon?.()
      cancelSoon = undefined
      cancelNext?.()
      await sending
    },
    announceSoon,
    current: () => {
      latest ??= sign().catch((err: unknown) => {
        latest = undefined
        throw err
      })
      return latest
    }
  }
}

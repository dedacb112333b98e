import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { createBus, type Bus, type Heard, type Topic, type Verdict } from '../../src/network/bus.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createHost, type Host } from '../../src/network/host.ts'
import type { LinkGuard } from '../../src/network/link-guard.ts'
import type { Clock } from '../../src/protocol/clock.ts'

export const NETWORK = 'test-net'
export const LOOPBACK = '/ip4/127.0.0.1/tcp/0'

/** A signal that ends after `ms`. */
export const within = (ms = 5_000): AbortSignal => AbortSignal.timeout(ms)

/** Waits until the condition holds; fails with `what` at the deadline. */
export async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Peer extends AsyncDisposable {
  readonly host: Host
  readonly bus: Bus
  readonly heard: Heard[]
  readonly address: string
}

export interface PeerOptions {
  readonly listen?: readonly string[]
  readonly topics?: readonly Topic[]
  readonly network?: string
  readonly key?: PrivateKey
  readonly verdict?: (message: Heard) => Verdict | Promise<Verdict>
  readonly guard?: LinkGuard
}

/** A started host with a bus that keeps what it hears. */
export async function startPeer(options: PeerOptions = {}): Promise<Peer> {
  const { listen = [LOOPBACK], topics = ['commands', 'acks'], network = NETWORK, verdict = () => 'accept' } = options
  const host = await createHost({ privateKey: options.key ?? (await generateKeyPair('Ed25519')), listen })
  const bus = createBus({ network }, { host, clock: systemClock, ...(options.guard === undefined ? {} : { guard: options.guard }) })
  const heard: Heard[] = []
  for (const topic of topics) {
    bus.handle(topic, (message) => {
      heard.push(message)
      return verdict(message)
    })
  }
  await host.start()
  await bus.start()
  return {
    host,
    bus,
    heard,
    get address() {
      const [address] = host.addresses()
      if (address === undefined) throw new Error('listens nowhere')
      return address
    },
    [Symbol.asyncDispose]: async () => {
      await bus.stop()
      await host.stop()
    }
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** A clock that moves only when told. */
export function createTestClock(start = 1_000_000): Clock & { advance(ms: number): void } {
  let now = start
  const timers = new Set<{ at: number; fn: () => void }>()
  return {
    now: () => now,
    after: (ms, fn) => {
      const timer = { at: now + ms, fn }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance: (ms) => {
      const end = now + ms
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
        if (next === undefined) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.fn()
      }
      now = end
    }
  }
}

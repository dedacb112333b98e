/** What the other side of a new connection says first, and who it must be by that. */
import type { MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, byteStream } from '@libp2p/utils'

/** Every libp2p connection begins with this, from either side. @see https://github.com/multiformats/multistream-select */
export const GREETING = new TextEncoder().encode('\x13/multistream/1.0.0\n')

/** Whether these bytes are a greeting, or the beginning of one. */
export function isGreeting(bytes: Uint8Array): boolean {
  return bytes.subarray(0, GREETING.length).every((byte, i) => byte === GREETING[i])
}

/** The first `count` bytes of the other side, which stay to be read. Rejects when it closes before, or with the signal's reason. */
export async function peek(connection: MultiaddrConnection, count: number, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = byteStream(connection)
  const first = (await bytes.read({ bytes: count, signal })).subarray().slice()
  bytes.unwrap()
  connection.unshift(first)
  return first
}

/**
 * The same connection, whose first bytes are judged as they come, for who speaks first and must not wait. `judge` is given them, or no
 * bytes where the other side closed without a word; the error that it returns ends the connection.
 */
export function judged(connection: MultiaddrConnection, judge: (first: Uint8Array) => Error | undefined): MultiaddrConnection {
  return new JudgedConnection(connection, judge)
}

class JudgedConnection extends AbstractMultiaddrConnection {
  readonly #inner: MultiaddrConnection
  #fault: Error | undefined

  constructor(inner: MultiaddrConnection, judge: (first: Uint8Array) => Error | undefined) {
    super({ remoteAddr: inner.remoteAddr, direction: inner.direction, log: inner.log })
    this.#inner = inner
    let isJudged = false
    const isRefused = (first: Uint8Array): boolean => {
      if (isJudged) return false
      isJudged = true
      this.#fault = judge(first)
      if (this.#fault !== undefined) this.abort(this.#fault)
      return this.#fault !== undefined
    }
    inner.addEventListener('message', ({ data }) => {
      if (!isRefused(data.subarray())) this.onData(data)
    })
    inner.addEventListener('drain', () => this.onMuxerDrain())
    inner.addEventListener('close', (event) => {
      if (isRefused(new Uint8Array())) return
      if (event.error === undefined) this.onTransportClosed()
      else if (event.local === true) this.abort(event.error)
      else this.onRemoteReset()
    })
  }

  /** The other side may have spoken, and been judged, before anything is sent. */
  override send(data: Parameters<AbstractMultiaddrConnection['send']>[0]): boolean {
    if (this.#fault !== undefined) throw this.#fault
    return super.send(data)
  }

  async sendClose(options?: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#inner.close(options)
  }

  sendData(data: Parameters<AbstractMultiaddrConnection['sendData']>[0]): { sentBytes: number; canSendMore: boolean } {
    const sentBytes = data.byteLength
    return { sentBytes, canSendMore: this.#inner.send(data) }
  }

  sendReset(err: Error): void {
    this.#inner.abort(err)
  }

  sendPause(): void {
    this.#inner.pause()
  }

  sendResume(): void {
    this.#inner.resume()
  }
}

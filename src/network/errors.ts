/** Why something on the network did not work; what the text says to do depends on it. */
export type NetworkErrorCode =
  /** Text that is no address we can use. */
  | 'address'
  /** Another program listens on the port. */
  | 'address-in-use'
  | 'refused'
  | 'timeout'
  | 'unreachable'
  /** The address answers with another swarm key than ours, or one of us has none. */
  | 'swarm-key'
  /** The address answers with another peer id. */
  | 'peer-id'
  /** The address, or a peer, does not speak our protocol. */
  | 'protocol'
  /** A query was cut off before its end marker. */
  | 'cut'
  /** A peer of another network, or one that cannot answer the question. */
  | 'declined'
  /** A peer says what no honest node says. */
  | 'dishonest'
  /** Nobody to publish to. */
  | 'no-peers'
  | 'size'
  | 'stopped'

/** The one error of this room; its message names the address or the peer, and the way out. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly code: NetworkErrorCode

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

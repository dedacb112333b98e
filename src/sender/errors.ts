/** Why a send could not begin. */
export type SenderErrorCode =
  /** No bootstrap address was given. */
  | 'no-bootstrap'
  /** No node answered; nothing was sent. */
  | 'no-node'
  /** An argument means nothing; nothing was sent. */
  | 'usage'

/** The error of this room; the message says what to do. */
export class SenderError extends Error {
  override readonly name = 'SenderError'
  readonly code: SenderErrorCode

  constructor(code: SenderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

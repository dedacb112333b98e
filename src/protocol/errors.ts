/** What may be wrong with bytes that arrive, in the order in which it is looked for. */
export type FaultCode = 'size' | 'encoding' | 'signer' | 'signature' | 'shape' | 'network'

/** Bytes that no node of this version could accept; `code` says which check failed. */
export class InvalidMessageError extends Error {
  override readonly name = 'InvalidMessageError'
  readonly code: FaultCode

  constructor(code: FaultCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Which kind of text could not be read; `encrypted` is a key that needs a passphrase, `passphrase` one that was wrong. */
export type TextCode = 'cid' | 'key' | 'encrypted' | 'passphrase' | 'options' | 'label'

/** Text from a person or a file that does not mean what it should; the message quotes it. */
export class InvalidTextError extends Error {
  override readonly name = 'InvalidTextError'
  readonly code: TextCode

  constructor(code: TextCode, message: string) {
    super(message)
    this.code = code
  }
}

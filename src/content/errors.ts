/** Why content could not be fetched, kept or read. The codes mean what the same ones of the node's backends mean. */
export type ContentCode = 'no-space' | 'too-large' | 'invalid' | 'not-found' | 'failed'

/** The one error of this room; an abort rejects with the signal's reason instead. */
export class ContentError extends Error {
  override readonly name = 'ContentError'
  readonly code: ContentCode

  constructor(code: ContentCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Turns a failed write of a file or database into a {@link ContentError}: `no-space` when the disk is full, else `failed`. */
export function diskError(err: unknown, what: string): ContentError {
  if (err instanceof ContentError) return err
  const message = err instanceof Error ? err.message : String(err)
  const full = /ENOSPC|EDQUOT|disk is full/.test(message)
  return new ContentError(full ? 'no-space' : 'failed', full ? `no space left on the disk for ${what}` : `${what}: ${message}`, {
    cause: err
  })
}

/** Yamux frames, as far as a guard needs them. @see https://github.com/hashicorp/yamux/blob/master/spec.md */

/** Bytes of a header. */
export const HEADER = 12

export const DATA = 0
export const WINDOW_UPDATE = 1
export const PING = 2

export const SYN = 1
export const RST = 8

/** The header of a frame. */
export interface YamuxHeader {
  readonly type: number
  readonly flags: number
  readonly stream: number
  /** Of a data frame: how many bytes follow. Of a window update: how many more may be sent. */
  readonly length: number
}

/** What stands in the first {@link HEADER} bytes. */
export function headerIn(bytes: Uint8Array): YamuxHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER)
  return { type: view.getUint8(1), flags: view.getUint16(2), stream: view.getUint32(4), length: view.getUint32(8) }
}

/** A frame that lets the other side send so many bytes more. */
export function windowUpdate(stream: number, length: number): Uint8Array {
  const bytes = new Uint8Array(HEADER)
  const view = new DataView(bytes.buffer)
  view.setUint8(1, WINDOW_UPDATE)
  view.setUint32(4, stream)
  view.setUint32(8, length)
  return bytes
}

/** Reads all headers of what one side sends; what is between them is skipped, and not kept. */
export interface HeaderReader {
  /** The next bytes, cut anywhere; `look` is given each header that is whole with them, and what it throws is thrown. */
  take(bytes: Uint8Array, look: (header: YamuxHeader) => void): void
}

/** Makes one, at the beginning of a connection. */
export function createHeaderReader(): HeaderReader {
  const head = new Uint8Array(HEADER)
  let filled = 0
  let skip = 0
  return {
    take(bytes, look) {
      let at = 0
      while (at < bytes.length) {
        const part = bytes.subarray(at, at + (skip > 0 ? skip : HEADER - filled))
        at += part.length
        if (skip > 0) {
          skip -= part.length
          continue
        }
        head.set(part, filled)
        filled += part.length
        if (filled < HEADER) return
        filled = 0
        const header = headerIn(head)
        look(header)
        if (header.type === DATA) skip = header.length
      }
    }
  }
}

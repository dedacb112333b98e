/** A stream of bytes as lines, of which none takes more memory than it may. */
import { concat } from 'uint8arrays/concat'

/** Lines without their ends, CRLF too. Of one that is longer than `maxBytes` only so much comes that this shows. */
export async function* splitLines(input: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let length = 0
  const line = (): Uint8Array => {
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts)
    parts = []
    length = 0
    return bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes
  }
  for await (const chunk of input) {
    for (let from = 0; from < chunk.byteLength;) {
      const end = chunk.indexOf(0x0a, from)
      const part = chunk.subarray(from, end < 0 ? undefined : end)
      if (length <= maxBytes) parts.push(part)
      length += part.byteLength
      if (end < 0) break
      yield line()
      from = end + 1
    }
  }
  if (length > 0) yield line()
}

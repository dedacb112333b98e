import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of array buffers that something still holds, and of a few that were let go of a moment ago. */
export function heldBytes(): number {
  collect()
  return process.memoryUsage().arrayBuffers
}

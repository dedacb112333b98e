import { statfs } from 'node:fs/promises'
import { DISK_RESERVE_BYTES } from '../protocol/limits.ts'
import { ContentError, diskError } from './errors.ts'

/** How long a look at the disk is good for, less what was written since. */
const FRESH_MS = 1_000

/** What bounds the blocks kept. */
export interface SpaceOptions {
  /** A folder on the disk that is looked at. */
  readonly dir: string
  /** Bytes that all blocks together may take; undefined: what the disk has. */
  readonly capacity?: number
}

/** What {@link createSpace} works with. */
export interface SpacePorts {
  /** Bytes of all blocks kept. */
  readonly used: () => number
  /** Frees at least so many bytes if it can, and says how many it did. */
  readonly makeRoom: (bytes: number) => Promise<number>
}

/** Watches that blocks fit on the disk, with {@link DISK_RESERVE_BYTES} left, and below the capacity. */
export function createSpace(options: SpaceOptions, ports: SpacePorts) {
  let known = 0
  let lookedAt = -Infinity

  /** Bytes that blocks may still take. Throws {@link ContentError} when the disk cannot be asked. */
  async function free(): Promise<number> {
    let disk: number
    try {
      const { bavail, bsize } = await statfs(options.dir)
      disk = bavail * bsize - DISK_RESERVE_BYTES
    } catch (err) {
      throw diskError(err, options.dir)
    }
    return Math.max(0, Math.min(disk, (options.capacity ?? Infinity) - ports.used()))
  }

  return {
    free,

    /** Sees to it that so many bytes fit, by freeing what nothing holds. Throws {@link ContentError} `no-space`. */
    async need(bytes: number): Promise<void> {
      if (performance.now() - lookedAt > FRESH_MS || known < bytes) {
        known = await free()
        lookedAt = performance.now()
      }
      if (known < bytes && (await ports.makeRoom(bytes - known)) > 0) known = await free()
      if (known < bytes)
        throw new ContentError('no-space', `${bytes} bytes more do not fit: ${known} are free for blocks in ${options.dir}`)
      known -= bytes
    }
  }
}

/** What {@link createSpace} makes. */
export type Space = ReturnType<typeof createSpace>

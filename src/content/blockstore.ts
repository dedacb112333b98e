import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import { ContentError, diskError } from './errors.ts'
import { assertKnownHash, blockKey, checkHash, isIdentity } from './multihash.ts'

/** The characters of base32. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** What a block store may be told. */
export interface BlockstoreOptions {
  /** Where the blocks are kept; made (mode 0700) by `start`. */
  readonly dir: string
  /** Whether a stored block must survive a power cut. Off for stores that are thrown away at the end. */
  readonly durable: boolean
}

/** A block on disk that has no name yet: nobody finds it, and the next `start` removes it. */
export interface StagedBlock {
  /** Gives the block its name; durable when it resolves. */
  commit(): Promise<void>
  /** Removes it. */
  discard(): Promise<void>
}

/**
 * Blocks as files, named by their multihash in base32, in folders by the two characters before the last (the first ones
 * are the same in all hashes). A file is written beside, synced and then renamed, so that a name always means the whole
 * block. Identity CIDs carry their content and have no file.
 */
export type FileBlockstore = ReturnType<typeof createFileBlockstore>

/** Makes a {@link FileBlockstore}. All calls throw {@link ContentError}; `start` comes first. */
export function createFileBlockstore(options: BlockstoreOptions) {
  const staging = join(options.dir, 'tmp')
  let staged = 0
  const run = randomBytes(4).toString('hex')

  const folderOf = (key: string): string => join(options.dir, key.slice(-3, -1))
  const fileOf = (key: string): string => join(folderOf(key), key)

  /** Of a file or a folder. */
  async function syncFile(path: string): Promise<void> {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** All folders at once, so that no block waits for one and one sync makes them durable. */
  async function makeFolders(): Promise<void> {
    const there = new Set(await readdir(options.dir))
    const names = [...ALPHABET].flatMap((a) => [...ALPHABET].map((b) => a + b)).filter((name) => !there.has(name))
    await Promise.all(names.map((name) => mkdir(join(options.dir, name), { mode: 0o700, recursive: true })))
    if (options.durable && names.length > 0) await syncFile(options.dir)
  }

  async function write(file: string, bytes: Uint8Array, sync: boolean): Promise<void> {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      if (sync) await handle.datasync()
    } finally {
      await handle.close()
    }
  }

  async function stageFile(key: string, bytes: Uint8Array, sync: boolean): Promise<StagedBlock> {
    const temporary = join(staging, `${run}-${(staged += 1)}`)
    const discard = (): Promise<void> => rm(temporary, { force: true })
    const orDiscard = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (err) {
        await discard()
        throw diskError(err, `block ${key}`)
      }
    }
    await orDiscard(() => write(temporary, bytes, sync))
    return {
      discard,
      commit: () =>
        orDiscard(async () => {
          await rename(temporary, fileOf(key))
          if (sync) await syncFile(folderOf(key))
        })
    }
  }

  /** The size of a block in bytes; undefined when it is not here. */
  async function size(cid: CID): Promise<number | undefined> {
    if (isIdentity(cid)) return cid.multihash.digest.byteLength
    try {
      return (await stat(fileOf(blockKey(cid.multihash)))).size
    } catch (err) {
      if (isMissing(err)) return undefined
      throw diskError(err, `block ${cid}`)
    }
  }

  /** The bytes of a block as they are on disk, unchecked; undefined when it is not here, or on a bad spot of the disk. */
  async function read(cid: CID): Promise<Uint8Array | undefined> {
    if (isIdentity(cid)) return cid.multihash.digest
    try {
      return await readFile(fileOf(blockKey(cid.multihash)))
    } catch (err) {
      if (isMissing(err) || isBadSpot(err)) return undefined
      throw diskError(err, `block ${cid}`)
    }
  }

  return {
    size,
    read,

    /** Checks the hash and writes the block without a name. With `sync: false` somebody else makes it durable. */
    async stage(cid: CID, bytes: Uint8Array, how: { readonly sync: boolean }): Promise<StagedBlock> {
      if (!checkHash(cid, bytes)) throw new ContentError('invalid', `the bytes received for ${cid} do not have its hash`)
      return stageFile(blockKey(cid.multihash), bytes, how.sync)
    },

    /** Writes a block anew, by {@link blockKey}, unless its file has these very bytes; not durable. */
    async restore(key: string, bytes: Uint8Array): Promise<void> {
      const there = await readFile(fileOf(key)).catch(() => undefined)
      if (there === undefined || Buffer.compare(there, bytes) !== 0) await (await stageFile(key, bytes, false)).commit()
    },

    /** Makes files durable that were stored without a sync, by {@link blockKey}; those not here are no error. */
    async sync(keys: readonly string[]): Promise<void> {
      try {
        for (const key of keys) await ifThere(syncFile(fileOf(key)))
        for (const folder of new Set(keys.map(folderOf))) await syncFile(folder)
      } catch (err) {
        throw diskError(err, options.dir)
      }
    },

    /** Makes the folders and removes what an earlier run left unfinished. */
    async start(): Promise<void> {
      try {
        await mkdir(staging, { recursive: true, mode: 0o700 })
        await Promise.all((await readdir(staging)).map((name) => rm(join(staging, name), { force: true })))
        await makeFolders()
      } catch (err) {
        throw diskError(err, options.dir)
      }
    },

    /** Whether the block is here. */
    async has(cid: CID): Promise<boolean> {
      return (await size(cid)) !== undefined
    },

    /** Checks the hash and stores the block; done already when it is here. `invalid` when the bytes are others. */
    async put(cid: CID, bytes: Uint8Array): Promise<CID> {
      assertKnownHash(cid)
      if ((await size(cid)) === bytes.byteLength) return cid
      if (!checkHash(cid, bytes)) throw new ContentError('invalid', `the bytes given for ${cid} do not have its hash`)
      await (await stageFile(blockKey(cid.multihash), bytes, options.durable)).commit()
      return cid
    },

    /** Yields the block in one piece. `not-found` when it is not here. */
    async *get(cid: CID): AsyncGenerator<Uint8Array> {
      const bytes = await read(cid)
      if (bytes === undefined) throw new ContentError('not-found', `block ${cid} is not here`)
      yield bytes
    },

    /** Removes blocks by {@link blockKey}; those not here are no error. */
    async remove(keys: readonly string[]): Promise<void> {
      try {
        await Promise.all(keys.map((key) => ifThere(unlink(fileOf(key)))))
      } catch (err) {
        throw diskError(err, 'removing blocks')
      }
    }
  }
}

function ifThere(work: Promise<void>): Promise<void> {
  return work.catch((err: unknown) => (isMissing(err) ? undefined : Promise.reject(err)))
}

/** What is written there cannot be read any more; a block that is fetched anew gets another place. */
function isBadSpot(err: unknown): boolean {
  return err instanceof Error && 'code' in err && err.code === 'EIO'
}

function isMissing(err: unknown): boolean {
  return err instanceof Error && 'code' in err && (err.code === 'ENOENT' || err.code === 'ENAMETOOLONG')
}

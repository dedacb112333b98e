/** Reading and replacing the small text files of a home: bounded, whole or not at all, never following a reader into a pipe. */
import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { link, open, realpath, rename, rm, type FileHandle } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { IdentityError } from './errors.ts'

/** A file that was read. */
export interface SmallFile {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whether the text is what the file holds; else bytes of it were replaced. */
  readonly isUtf8: boolean
}

/**
 * Reads a regular file of at most `max` bytes as UTF-8.
 * Throws {@link IdentityError}: `missing`, `unreadable` (by this user, or not a regular file), `size`.
 */
export async function readSmallFile(path: string, max: number): Promise<SmallFile> {
  let file: FileHandle | undefined
  try {
    // Without O_NONBLOCK a named pipe would hold the open until somebody writes into it.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const { mode, uid, gid, ...info } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new IdentityError('unreadable', path, `${path} is not a regular file`)
    if (info.size > max) throw new IdentityError('size', path, `${path} has more than ${max} bytes: is it the right file?`)
    const buffer = Buffer.allocUnsafe(max + 1)
    let length = 0
    for (let read = -1; read !== 0 && length <= max; length += read)
      read = (await file.read(buffer, length, buffer.length - length)).bytesRead
    if (length > max) throw new IdentityError('size', path, `${path} has more than ${max} bytes: is it the right file?`)
    const bytes = buffer.subarray(0, length)
    return { text: bytes.toString('utf8'), mode: mode & 0o7777, uid, gid, isUtf8: isUtf8(bytes) }
  } catch (err) {
    throw err instanceof IdentityError ? err : fileError(path, 'read', err)
  } finally {
    await file?.close()
  }
}

/** Makes a file with this content, whole or not at all; throws {@link IdentityError} `exists` rather than overwrite. */
export async function createFile(path: string, text: string, mode: number): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`)
  try {
    await writeWhole(await open(temp, 'wx', mode), text)
    // Unlike rename, link fails where something is.
    await link(temp, path)
    await syncFolder(path)
  } catch (err) {
    throw fileError(path, 'make', err)
  } finally {
    await rm(temp, { force: true }).catch(() => undefined)
  }
}

/** How long another program may take to finish its own change, milliseconds. */
const BUSY_MS = 3_000

/**
 * Replaces a file by `edit(its content)`, atomically, one program at a time; mode, owner and a symlink to it stay.
 * `edit` gets undefined where there is no file (which is then made with `mode`) and returns undefined to leave all as it is.
 * Throws {@link IdentityError}, or whatever `edit` throws.
 */
export async function updateFile(
  path: string,
  max: number,
  mode: number,
  edit: (old: string | undefined) => string | undefined
): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const temp = `${target}.new`
  const file = await takeTurn(path, temp, mode)
  let renamed = false
  try {
    const old = await readSmallFile(target, max).catch((err: IdentityError) => {
      if (err.code === 'missing') return undefined
      throw err
    })
    const text = edit(old?.text)
    if (text === undefined) return
    if (old?.isUtf8 === false) {
      throw new IdentityError(
        'encoding',
        path,
        `${path} is not changed: it holds bytes that are not UTF-8, which would be lost; save it as UTF-8`
      )
    }
    if (old !== undefined) {
      // Only root may give files away: for others the new file is theirs, as the folder is.
      await file.chown(old.uid, old.gid).catch(() => undefined)
      await file.chmod(old.mode)
    }
    await file.writeFile(text)
    await file.sync()
    await rename(temp, target)
    renamed = true
    await syncFolder(target)
  } catch (err) {
    throw err instanceof Error && 'syscall' in err ? fileError(path, 'write', err) : err
  } finally {
    await file.close()
    // After the rename the name belongs to whoever is next in turn.
    if (!renamed) await rm(temp, { force: true })
  }
}

/** The new file is the lock as well: who makes it is the one that writes. */
async function takeTurn(path: string, temp: string, mode: number): Promise<FileHandle> {
  for (const end = performance.now() + BUSY_MS; ; await sleep(20)) {
    try {
      return await open(temp, 'wx', mode)
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(path, 'write', err)
      if (performance.now() < end) continue
      throw new IdentityError('busy', path, `${path} is being changed by another program; if none runs, remove ${temp} and try again`)
    }
  }
}

async function writeWhole(file: FileHandle, text: string): Promise<void> {
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes a new name survive a power cut; where folders cannot be opened (Windows) the file system sees to it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), constants.O_RDONLY).catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

/** What a failed system call on a file means, for people: what is named, and what stands in the way. */
export function fileError(path: string, verb: 'read' | 'make' | 'write', cause: unknown): IdentityError {
  const { code, message } = cause as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      if (verb === 'read') return new IdentityError('missing', path, `there is no file ${path}`, { cause })
      return new IdentityError('missing', path, `cannot ${verb} ${path}: there is no folder ${dirname(path)}`, { cause })
    case 'EISDIR':
      return new IdentityError('unreadable', path, `${path} is not a regular file`, { cause })
    case 'EEXIST':
      return new IdentityError('exists', path, `${path} exists already and is never overwritten`, { cause })
    case 'EACCES':
    case 'EPERM':
      return new IdentityError('unreadable', path, `this user may not ${verb} ${path}`, { cause })
    case 'ENOSPC':
      return new IdentityError('unreadable', path, `cannot ${verb} ${path}: the disk is full`, { cause })
    default:
      return new IdentityError('unreadable', path, `cannot ${verb} ${path}: ${message}`, { cause })
  }
}

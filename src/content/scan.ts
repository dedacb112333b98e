import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ContentError } from './errors.ts'

/** What a path is, as far as UnixFS can keep it. */
export type Entry =
  | { readonly type: 'file'; readonly path: string; readonly bytes: number }
  | { readonly type: 'link'; readonly path: string; readonly target: string }
  | { readonly type: 'folder'; readonly path: string }

/** How much is below a path. */
export interface Measure {
  readonly files: number
  /** Folders and links, the path itself among them. */
  readonly others: number
  /** Bytes of all files. */
  readonly bytes: number
}

/** Looks at a path without following links. Throws {@link ContentError} naming it. */
export async function look(path: string): Promise<Entry> {
  try {
    const stat = await lstat(path)
    if (stat.isFile()) return { type: 'file', path, bytes: stat.size }
    if (stat.isSymbolicLink()) return { type: 'link', path, target: await readlink(path) }
    if (stat.isDirectory()) return { type: 'folder', path }
  } catch (err) {
    throw cannotRead(path, err)
  }
  throw new ContentError('invalid', `${path} is neither a file, a folder nor a link: leave it out`)
}

/** The names in a folder, without those that begin with a dot unless `hidden`. Throws {@link ContentError} naming the folder. */
export async function namesIn(path: string, hidden: boolean): Promise<string[]> {
  const raw = await readdir(path, { encoding: 'buffer' }).catch((err: unknown) => {
    throw cannotRead(path, err)
  })
  return raw.flatMap((bytes) => {
    const name = bytes.toString()
    if (!Buffer.from(name).equals(bytes)) throw new ContentError('invalid', `a name in ${path} is not UTF-8: ${JSON.stringify(name)}`)
    return hidden || !name.startsWith('.') ? [name] : []
  })
}

/** Counts what an import of `path` will read. Throws {@link ContentError} naming what cannot be read. */
export async function measure(path: string, options: { readonly hidden: boolean; readonly signal: AbortSignal }): Promise<Measure> {
  let [files, others, bytes] = [0, 0, 0]
  const todo = [path]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    options.signal.throwIfAborted()
    const entry = await look(next)
    if (entry.type === 'file') {
      files += 1
      bytes += entry.bytes
      continue
    }
    others += 1
    if (entry.type === 'folder') for (const name of await namesIn(next, options.hidden)) todo.push(join(next, name))
  }
  return { files, others, bytes }
}

/** What to throw when a path cannot be read. */
export function cannotRead(path: string, err: unknown): ContentError {
  if (err instanceof ContentError) return err
  const code = err instanceof Error && 'code' in err ? err.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return new ContentError('not-found', `${path} does not exist`, { cause: err })
  const why = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : err instanceof Error ? err.message : String(err)
  return new ContentError('failed', `cannot read ${path}: ${why}`, { cause: err })
}

/** The files of a key that is being replaced: every step leaves a state from which the next run goes on. */
import { rename } from 'node:fs/promises'
import { isBelowSsh } from './authorized-keys-file.ts'
import { IdentityError } from './errors.ts'
import { createFile } from './files.ts'
import { exists } from './folders.ts'

/** How far the replacement of a key file has come: not begun, the next key is there, or the old one was put aside already. */
export type RotationStage = 'fresh' | 'next' | 'aside'

/** The files of a rotation. */
export interface RotationFiles {
  /** The key in use. */
  readonly key: string
  /** The key that shall take its place. */
  readonly next: string
}

/** Where the next key lies while it is not in use. */
export function rotationFiles(key: string): RotationFiles {
  return { key, next: `${key}.next` }
}

/**
 * Looks how far it is. Throws {@link IdentityError}: `missing` where there is no key at all, `foreign` for one below a folder `.ssh`:
 * it logs in somewhere, and another in its place would not.
 */
export async function rotationStage({ key, next }: RotationFiles): Promise<RotationStage> {
  if (await isBelowSsh(key)) throw new IdentityError('foreign', key, `${key} is not replaced: ssh logs in with it too`)
  const [hasKey, hasNext] = await Promise.all([exists(key), exists(next)])
  if (hasKey) return hasNext ? 'next' : 'fresh'
  if (hasNext) return 'aside'
  throw new IdentityError(
    'missing',
    key,
    `there is no key ${key}: make a key with "pinsub init" or "pinsub keys gen", or name one with --key`
  )
}

/** Puts the public line beside the next key where a run was killed before it did. */
export async function ensurePublic({ next }: RotationFiles, line: string): Promise<void> {
  if (!(await exists(`${next}.pub`))) await createFile(`${next}.pub`, `${line}\n`, 0o644)
}

/**
 * Puts the old key aside and the next one in its place, `.pub` files too; returns where the old one is now, undefined where an earlier
 * run had put it aside.
 */
export async function takeOver({ key, next }: RotationFiles, date: string): Promise<string | undefined> {
  const old = (await exists(key)) ? await freeName(`${key}.closed-${date}`) : undefined
  if (old !== undefined) await move(key, old)
  await move(next, key)
  return old
}

/** The private half last: as long as it is there the rest can be done again. */
async function move(from: string, to: string): Promise<void> {
  for (const suffix of ['.pub', '']) if (await exists(from + suffix)) await rename(from + suffix, to + suffix)
}

async function freeName(name: string): Promise<string> {
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`
    if (!(await exists(candidate))) return candidate
  }
}

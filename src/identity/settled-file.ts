/** A file that people and programs edit, read only when an edit is over. */
import { watch, type FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../protocol/clock.ts'

/** Milliseconds. */
const TIMES = {
  /** The file is read this long after its last change: an edit is many writes. */
  settle: 150,
  /** A file that keeps changing is read this long after the first change all the same. */
  settleAtMost: 500,
  /** What cannot be read must stay so this long before it counts: a rewrite in place shows the file empty, a replacement missing. */
  blank: 1_000,
  /** A file that keeps changing and never can be read counts as such after this long. */
  blankAtMost: 5_000,
  /** Some mounts, and links into other folders, send no events: the file is looked at this often besides. */
  look: 500
} as const

/** Which file, and how it is read. */
export interface SettledFileOptions {
  readonly file: string
  /** Reads the file; rejects where there is nothing to go by (missing, empty, unreadable, refused). */
  read(): Promise<string>
}

/** Who hears of it. */
export interface SettledFilePorts {
  readonly clock: Clock
  /** What the file says now, or why it says nothing. May be called again with the same. */
  take(found: string | Error): void
}

/** A file that is being watched. */
export interface SettledFile {
  /** Takes what is there now and begins to watch. */
  start(): Promise<void>
  /** Takes what is there now, without waiting. */
  reload(): Promise<void>
  stop(): void
}

/** Watches a file that may be replaced, rewritten in place, missing, a symlink, or in a folder that does not exist yet. */
export function watchSettledFile(options: SettledFileOptions, ports: SettledFilePorts): SettledFile {
  const { file, read } = options
  const { clock, take } = ports
  const folder = watchedFolder(dirname(file), glance)
  let stopped = false
  let glancing = false
  let cancelRead = (): void => undefined
  let cancelLook = (): void => undefined
  let last = ''
  /** Of every change seen, so that gone, back and gone again is not taken for gone all along. */
  let lastChange = 0
  /** Of those that were not yet read. */
  let firstChange: number | undefined
  let blankSince: number | undefined

  let turn: Promise<void> = Promise.resolve()
  /** One step at a time. */
  function inTurn(step: () => Promise<void>): Promise<void> {
    turn = turn.then(() => (stopped ? undefined : step()))
    return turn
  }

  /** Whether the file changed since the last look. */
  async function look(): Promise<boolean> {
    const now = await stampOf(file)
    if (now === last) return false
    last = now
    lastChange = clock.now()
    return true
  }

  function glance(): void {
    if (glancing) return
    glancing = true
    void inTurn(async () => {
      glancing = false
      if (await look()) touched()
    })
  }

  function touched(): void {
    firstChange ??= clock.now()
    readIn(Math.min(TIMES.settle, Math.max(0, firstChange + TIMES.settleAtMost - clock.now())))
  }

  function readIn(ms: number): void {
    cancelRead()
    if (!stopped) cancelRead = clock.after(ms, () => void inTurn(settle))
  }

  /** What the file says, and whether it changed meanwhile. */
  async function readNow(): Promise<{ readonly found: string | Error; readonly changed: boolean }> {
    await look()
    const found = await read().catch((err: Error) => err)
    return { found, changed: await look() }
  }

  async function settle(): Promise<void> {
    const { found, changed } = await readNow()
    if (stopped) return
    const now = clock.now()
    if (changed && firstChange !== undefined && now < firstChange + TIMES.settleAtMost) return touched()
    firstChange = undefined
    if (changed) touched()
    if (typeof found === 'string') return count(found)
    blankSince ??= lastChange
    const until = Math.min(lastChange + TIMES.blank, blankSince + TIMES.blankAtMost)
    if (now >= until) count(found)
    else if (!changed) readIn(until - now)
  }

  function count(found: string | Error): void {
    blankSince = undefined
    take(found)
  }

  async function takeNow(): Promise<void> {
    cancelRead()
    firstChange = undefined
    const { found, changed } = await readNow()
    if (stopped) return
    count(found)
    if (changed) touched()
  }

  function keepLooking(): void {
    cancelLook = clock.after(TIMES.look, () => {
      void inTurn(async () => {
        await folder.attach()
        if (await look()) touched()
        if (!stopped) keepLooking()
      })
    })
  }

  return {
    async start() {
      await inTurn(async () => {
        await folder.attach()
        await takeNow()
        if (!stopped) keepLooking()
      })
    },
    reload: () => inTurn(takeNow),
    stop() {
      stopped = true
      cancelRead()
      cancelLook()
      folder.close()
    }
  }
}

/** Events of a folder, which may come and go. */
function watchedFolder(dir: string, onEvent: () => void): { attach(): Promise<void>; close(): void } {
  let watcher: FSWatcher | undefined
  let watched: string | undefined
  let closed = false
  const close = (): void => {
    watcher?.close()
    watcher = undefined
    watched = undefined
  }
  return {
    async attach() {
      const inode = await stat(dir, { bigint: true }).then(
        ({ dev, ino }) => `${dev}:${ino}`,
        () => undefined
      )
      if (inode === watched || closed) return
      close()
      if (inode === undefined) return
      try {
        // All names count: a Kubernetes mount changes by a link beside the file.
        watcher = watch(dir, { persistent: false }, onEvent).on('error', close)
        watched = inode
      } catch {
        // No events to be had here, or no watch left on this machine: looking now and then is enough.
        watched = inode
      }
    },
    close() {
      closed = true
      close()
    }
  }
}

/** Differs whenever the file was written, replaced, or made another's. */
async function stampOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mode, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [dev, ino, size, mode, mtimeNs, ctimeNs].join()
  } catch (err) {
    return (err as NodeJS.ErrnoException).code ?? 'error'
  }
}

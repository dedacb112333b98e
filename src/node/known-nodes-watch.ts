/** The watched known_nodes file, put in force. */
import { IdentityError } from '../identity/errors.ts'
import { readKnownNodesText } from '../identity/known-nodes-file.ts'
import { watchSettledFile } from '../identity/settled-file.ts'
import type { Clock } from '../protocol/clock.ts'
import { parseKnownNodes } from '../protocol/known-nodes.ts'
import type { KnownNodesBook } from './known-nodes.ts'
import type { Log } from './ports.ts'

/** The watch. */
export interface KnownNodesWatch {
  /** Puts in force what the file says now, and from then on what it comes to say. */
  start(): Promise<void>
  /** Reads the file now. */
  reload(): Promise<void>
  stop(): void
}

/** Makes it. A missing or empty file names nobody; one that cannot be read leaves all as it was, and the log says so. */
export function watchKnownNodes(
  { file }: { readonly file: string },
  ports: { readonly known: Pick<KnownNodesBook, 'setFile' | 'size'>; readonly clock: Clock; readonly log: Log }
): KnownNodesWatch {
  const { known, clock, log } = ports
  let last: string | undefined
  let problem: string | undefined
  let started = false

  const read = async (): Promise<string> => {
    const text = await readKnownNodesText(file)
    // A rewrite in place shows the file empty for a moment.
    if (text === '') throw new IdentityError('empty', file, `${file} is empty`)
    return text
  }

  const take = (found: string | Error): void => {
    const isBlank = found instanceof IdentityError && (found.code === 'missing' || found.code === 'empty')
    if (typeof found !== 'string' && !isBlank) {
      if (found.message !== problem) log.warn(`${found.message}: the nodes known before stay known`)
      problem = found.message
      return
    }
    problem = undefined
    const text = typeof found === 'string' ? found : ''
    if (text === last) return
    last = text
    const now = parseKnownNodes(text)
    for (const { line, message } of now.problems) log.warn(`${file}:${line}: ${message}`)
    known.setFile(now)
    if (started) log.info(`${file} changed: ${known.size} ${known.size === 1 ? 'node is' : 'nodes are'} known`)
  }

  const settled = watchSettledFile({ file, read }, { clock, take })
  return {
    async start() {
      await settled.start()
      started = true
    },
    reload: () => settled.reload(),
    stop: () => settled.stop()
  }
}

/** Homes of agents in a temporary folder, and state files that go from one to another. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStateExport } from '../../src/node/state-export.ts'
import { openStateFile, type RefusedLine } from '../../src/node/state-file.ts'
import { importState, type StateImported } from '../../src/node/state-import.ts'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { createManualClock } from '../support/clock.ts'

/** What the manual clocks show at first. */
export const START = 1_700_000_000_000

/** A home that need not exist. */
export interface TestHome {
  readonly dir: string
  readonly files: { readonly stateDb: string; readonly lock: string; readonly authorizedKeys: string; readonly knownNodes: string }
}

/** What came of an import. */
export interface Outcome extends StateImported {
  /** `number: code: message`. */
  readonly lines: readonly string[]
  /** How often the home was begun. */
  readonly begun: number
}

/** The homes of one test; disposing removes them. */
export interface TestHomes extends Disposable {
  home(): TestHome
}

/** Makes the folder in which they are. */
export function createHomes(): TestHomes {
  const root = mkdtempSync(join(tmpdir(), 'pinsub-state-'))
  let made = 0
  return {
    home() {
      const dir = join(root, String(made++))
      const [stateDb, lock] = [join(dir, 'node', 'state.db'), join(dir, 'node', 'lock')]
      return { dir, files: { stateDb, lock, authorizedKeys: join(dir, 'authorized_keys'), knownNodes: join(dir, 'known_nodes') } }
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true })
  }
}

/** Writes authorized_keys of a home. */
export function writeKeys({ dir, files }: TestHome, text: string): void {
  mkdirSync(join(dir, 'node'), { recursive: true })
  writeFileSync(files.authorizedKeys, text, { mode: 0o600 })
}

/** The agent of a home without network and backend, with the keys in this text in force; they are written, too. */
export async function openAgent(home: TestHome, keys: string): Promise<AgentCore> {
  writeKeys(home, keys)
  const core = createAgentCore({ file: home.files.stateDb })
  await putKeys(core, keys)
  return core
}

/** Puts the keys in a text in force. */
export async function putKeys(core: AgentCore, keys: string): Promise<void> {
  await core.standings.apply(parseAuthorizedKeys(keys), { settler: core.settler, now: core.clock.now(), onChanges() {} })
}

/** The state file of a home, `at` milliseconds after the start. */
export async function exportText({ files }: TestHome, { at = 0, authorize = [] as readonly string[] } = {}): Promise<string> {
  using state = await openStateExport({ network: 'net', files, authorize }, { clock: createManualClock(START + at) })
  return [...state.text].join('')
}

/** Imports a state file, `at` milliseconds after the start. */
export async function importText(
  { files }: TestHome,
  text: string | Uint8Array,
  { at = 0, makesKeys = true, authorize = [] as readonly string[], signal = new AbortController().signal } = {}
): Promise<Outcome> {
  const lines: string[] = []
  let begun = 0
  const onRefused = ({ number, code, message }: RefusedLine): void => void lines.push(`${number}: ${code}: ${message}`)
  const begin = async (): Promise<void> => void begun++
  const file = await openStateFile(pieces(typeof text === 'string' ? Buffer.from(text) : text))
  const ports = { clock: createManualClock(START + at), signal, begin, onRefused, onProgress() {} }
  const imported = await importState(file, { files, makesKeys, authorize }, ports)
  return { ...imported, lines, begun }
}

/** Bytes as a stream gives them, 1,000 at a time. */
export async function* pieces(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

/** The lines of a text, as objects. */
export function objects(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Authors who command one agent while it is killed again and again: two with real senders and ledgers, one who says what those cannot. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { multiaddr } from '@multiformats/multiaddr'
import { generateKeyFile, loadSigner } from '../../../src/identity/key-file.ts'
import { createSender, type Sender } from '../../../src/index.ts'
import type { Ack } from '../../../src/protocol/ack.ts'
import type { CommandId } from '../../../src/protocol/envelope.ts'
import { MAX_OFFERED_AGAIN } from '../../../src/protocol/limits.ts'
import { leaf, node } from '../../support/dags.ts'
import type { Operator, Said, Sayable } from '../../support/operator.ts'
import type { Random } from '../../support/random.ts'
import { contentOf, keyOf, type Content } from './grounds.ts'

/** The authors. */
export interface Crowd {
  /** Their lines for `--authorize`. */
  readonly lines: readonly string[]
  /** Meets an agent that has just started, and offers it what no agent accepted yet, each author a hundred commands at most. */
  meet(agent: { readonly address: string; readonly peer: string }): Promise<void>
  /** Says so many commands, all under way at once; resolves when nothing more is to be heard of them, or at the end of `meet`'s agent. */
  speak(commands: number): Promise<void>
  /** Pins content in the pinset `default`, and lets go of it when that is done. */
  takeAndLetGo(contents: readonly Content[]): Promise<void>
  /** The agent is gone: gives up what is under way. */
  leave(): Promise<void>
  /** Every envelope that was ever signed. */
  envelopes(): readonly Uint8Array[]
  /** Commands of which an ack said that they were taken: heard by a sender and kept in its ledger, or heard by the operator. */
  acknowledged(): ReadonlySet<CommandId>
  /** Commands that no agent is known to have taken. */
  unaccepted(): number
  /** Of each command the newest ack. */
  readonly newest: ReadonlyMap<CommandId, Ack>
  /** Acks heard, each once. */
  readonly heard: number
  /** Called with each ack. */
  onAck(listener: () => void): () => void
  /** Everything that may be named. */
  readonly contents: readonly Content[]
  /** A real sender that is connected now. */
  sender(): Sender
}

const PINSETS = ['default', 'default', 'default', 'site']
const SEND_MS = 20_000

/** Makes it; what is wrong with acks is thrown by `fault`. */
export async function makeCrowd(
  options: { readonly network: string; readonly dir: string; readonly named: readonly Content[] },
  ports: { readonly operator: Operator; readonly random: Random; fault(message: string): void; own(block: string, cid: string): void }
): Promise<Crowd> {
  const { network, dir, named } = options
  const { operator, random, fault } = ports
  const keys = ['alice', 'bob', 'carol'].map((name) => join(dir, name))
  const lines = await Promise.all(keys.map(async (key) => (await generateKeyFile(key, key.split('/').at(-1) as string)).line))
  const { signer } = await loadSigner(keys[2] as string)
  const ledgers = [`${keys[0]}.db`, `${keys[1]}.db`]
  const contents: Content[] = [...named]
  const said = new Map<CommandId, Said>()
  const newest = new Map<CommandId, Ack>()
  const taken = new Set<CommandId>()
  /** Sequence → the ack, as it came. */
  const sequences = new Map<number, string>()
  let senders: Sender[] = []
  let ended = new AbortController()
  let fresh = 0
  let highest = 0
  /** The highest sequence of the lives before this one. */
  let floor = 0

  operator.onAck((ack, bytes) => {
    const text = Buffer.from(bytes).toString('base64')
    const before = sequences.get(ack.sequence)
    if (before !== undefined && before !== text) fault(`two different acks have the sequence ${ack.sequence}`)
    if (before === undefined && ack.sequence <= floor) fault(`the ack ${ack.sequence} is told after a restart, ${floor} was told before it`)
    sequences.set(ack.sequence, text)
    highest = Math.max(highest, ack.sequence)
    if (ack.states.every(({ status }) => status === 'refused')) fault(`refused: ${JSON.stringify(ack)}`)
    taken.add(ack.command)
    if ((newest.get(ack.command)?.sequence ?? -1) < ack.sequence) newest.set(ack.command, ack)
  })

  const make = async (): Promise<Content> => {
    const text = `content ${fresh++}`
    const leaves = random.chance(0.2) ? await Promise.all([1, 2, 3].map((i) => leaf(`${text}, leaf ${i}`))) : []
    const root = leaves.length === 0 ? await leaf(text) : await node(text, leaves)
    const content = leaves.length === 0 ? contentOf(root) : { cid: root.cid, blocks: [root, ...leaves] }
    for (const block of content.blocks) ports.own(keyOf(block), root.cid.toString())
    operator.provide(content.blocks)
    contents.push(content)
    return content
  }

  const makeSome = (count: number): Promise<Content[]> => Promise.all(Array.from({ length: count }, make))
  const origins = [operator.origin]

  const byAuthor = async (sender: Sender): Promise<void> => {
    // What is the operator's stays in one pinset, so that it is let go indeed.
    const isForeign = named.length > 0 && random.chance(0.2)
    const common = { pinset: isForeign ? 'default' : random.pick(PINSETS), timeout: SEND_MS, signal: ended.signal }
    const known = random.some(isForeign ? named : contents.slice(named.length), random.between(1, 4))
    const isUnpin = contents.length > 10 && random.chance(isForeign ? 0.5 : 0.35)
    const most = random.chance(0.2) ? 40 : 8
    const pinned = isUnpin ? known : [...(await makeSome(random.between(1, most))), ...(random.chance(0.5) ? known : [])]
    const cids = [...new Set(pinned.map(({ cid }) => cid.toString()))]
    const events = isUnpin ? sender.unpin(cids, common) : sender.pin(cids, { ...common, origins })
    for await (const event of events) {
      if (event.event === 'ack' && event.status === 'refused') fault(`refused: ${JSON.stringify(event)}`)
    }
  }

  /** Pins, unpins and updates in one command. */
  const byCarol = async (): Promise<void> => {
    const known = random.some(contents.slice(named.length), 4)
    const added = await makeSome(random.between(1, 4))
    const operations = [
      ...added.map(({ cid }): Sayable => ({ op: 'pin', cid, origins: [multiaddr(operator.origin).bytes] })),
      ...known.slice(0, 2).map(({ cid }): Sayable => ({ op: 'unpin', cid })),
      ...(known[2] === undefined ? [] : [{ op: 'update' as const, from: known[2].cid, to: (await make()).cid }])
    ]
    const one = await operator.sign(signer, operations, random.pick(PINSETS))
    said.set(one.id, one)
    await operator.publish(one)
  }

  const read = <T>(visit: (db: DatabaseSync) => readonly T[]): T[] =>
    ledgers.flatMap((file) => {
      using db = new DatabaseSync(file, { readOnly: true })
      return visit(db)
    })
  const column = (text: string) =>
    read((db) =>
      db
        .prepare(text)
        .all()
        .map((row) => Object.values(row)[0])
    )

  return {
    lines,
    contents,
    newest,
    get heard() {
      return sequences.size
    },
    async meet({ address, peer }) {
      ended = new AbortController()
      floor = highest
      const options = { network, bootstrap: [address], knownNodes: [peer] }
      senders = await Promise.all(ledgers.map((ledger, i) => createSender({ ...options, key: keys[i] as string, ledger })))
      await Promise.all([operator.link(address), ...senders.map((sender) => sender.connect())])
      const open = [...said.values()].filter(({ id }) => !taken.has(id))
      for (const one of open.slice(0, MAX_OFFERED_AGAIN)) await operator.publish(one)
    },
    async speak(commands) {
      const speaking = Array.from({ length: commands }, () => {
        const sender = senders[random.between(0, 2)]
        return sender === undefined ? byCarol() : byAuthor(sender)
      })
      const results = await Promise.allSettled(speaking)
      if (ended.signal.aborted) return
      for (const result of results) if (result.status === 'rejected') fault(`a send failed: ${String(result.reason)}`)
    },
    async takeAndLetGo(some) {
      const cids = some.map(({ cid }) => cid.toString())
      const [sender] = senders
      if (sender === undefined || cids.length === 0) return
      for (const events of [sender.pin(cids, { origins }), sender.unpin(cids)]) {
        for await (const event of events) if (event.event === 'done' && event.result !== 'ok') fault(JSON.stringify(event))
      }
    },
    async leave() {
      ended.abort(new DOMException('the agent was killed', 'AbortError'))
      await Promise.all(senders.map((sender) => sender.stop()))
      senders = []
    },
    envelopes: () => [...(column('SELECT envelope FROM commands') as Uint8Array[]), ...[...said.values()].map(({ envelope }) => envelope)],
    acknowledged: () => new Set([...taken, ...(column('SELECT id FROM commands WHERE accepted = 1') as CommandId[])]),
    unaccepted: () => column('SELECT id FROM commands WHERE accepted = 0').length + [...said.keys()].filter((id) => !taken.has(id)).length,
    onAck: (listener) => operator.onAck(listener),
    sender: () => senders[0] as Sender
  }
}

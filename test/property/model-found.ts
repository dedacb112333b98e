/** What the model found once, at its shortest: each was a fault of an agent. */
import type { LineDraft, OperationDraft, Schedule, Step } from './model-steps.ts'

const FULL: readonly LineDraft[] = [{ rights: ['pin', 'unpin'] }, { rights: ['pin', 'unpin'] }, { rights: ['pin', 'unpin'] }]
const WITHOUT: readonly LineDraft[] = ['absent', ...FULL.slice(1)]
const REVOKED: readonly LineDraft[] = ['revoked', ...FULL.slice(1)]

/** An author says it, the first where none is named, and the first agent hears and stores it. */
function said(ms: number, operation: OperationDraft, author = 0): readonly Step[] {
  return [...heard(ms, operation, author), { do: 'turn', agent: 0 }]
}

function heard(ms: number, operation: OperationDraft, author = 0): readonly Step[] {
  return [
    { do: 'say', author, pinset: 0, ms, counter: 0, operations: [operation], copies: [1, 0, 0] },
    { do: 'hear', agent: 0, picks: [0] }
  ]
}

const pin = (cid: number): OperationDraft => ({ op: 'pin', cid, to: 0 })
const unpin = (cid: number): OperationDraft => ({ op: 'unpin', cid, to: 0 })
const update = (cid: number, to: number): OperationDraft => ({ op: 'update', cid, to })
const done: Step = { do: 'work', agent: 0, pick: 0, outcome: 'done' }
const lost: Step = { do: 'work', agent: 0, pick: 0, outcome: 'lost' }
const file: Step = { do: 'file', agent: 0 }

function found(versions: Schedule['versions'], ...steps: readonly (Step | readonly Step[])[]): Schedule {
  return { versions, isOther: false, isOnDisk: true, steps: steps.flat() }
}

/** Each with its name. */
export const FOUND: readonly (readonly [string, Schedule])[] = [
  [
    'a command is accepted when it is heard, also when it is stored after its key was closed',
    found([FULL, WITHOUT], heard(0, pin(0)), file, { do: 'wait', ms: 1 }, { do: 'turn', agent: 0 })
  ],
  [
    'what an update replaced goes once the new CID is there, also where that was pinned again meanwhile',
    found([FULL], said(0, pin(0)), done, said(1, update(0, 1)), said(2, pin(1)), done, done)
  ],
  [
    'a key is revoked, and the agent is killed before it has acted on that',
    found([FULL, REVOKED], said(0, pin(0)), { do: 'kill', agent: 0, after: 1 }, file)
  ],
  [
    'two updates in a row let the first CID go once the last is there',
    found([FULL], said(0, pin(0)), done, said(2, update(1, 2)), said(1, update(0, 1)), done, done)
  ],
  ...[0, 1, 2].map((from): readonly [string, Schedule] => [
    `an update of a key that was revoked and is back holds the old CID (${from}) until the new one is there`,
    found([FULL, REVOKED, FULL], said(0, pin(from)), done, said(1, update(from, (from + 1) % 3)), file, done, file, done, done)
  ]),
  ['a key is revoked before what it let go is gone', found([FULL, REVOKED], said(0, pin(0)), done, said(1, unpin(0)), file, done)],
  [
    'what is called back is pinned once that is known: it may be gone already',
    found([FULL, REVOKED], said(0, pin(0)), done, said(1, unpin(0)), lost, file, said(2, pin(0), 1), done)
  ],
  [
    'two updates replace each other, and the pin of the last is displaced by one of a version to come',
    found([FULL], said(0, pin(2)), said(1, update(2, 0)), said(2, update(0, 2)), said(3, { op: 'pin to come', cid: 2, to: 0 }))
  ]
]

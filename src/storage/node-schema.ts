import type { Owner } from './open-read-only.ts'
import type { Migration } from './open.ts'

/**
 * The agent's state, `node/state.db`. Commands are what was said, registers what counts of it and who is charged for it, holds and pins what
 * is there, jobs what is to do; `passed` names the commands that hold no register any more, `quiet` those that came by catching up. `history` and `refusals` are for the log alone.
 */
export const NODE_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE authors (
    author TEXT PRIMARY KEY,
    standing TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE commands (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    author TEXT NOT NULL,
    pinset TEXT,
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    envelope BLOB NOT NULL
  );
  CREATE INDEX commands_by_time ON commands (ms, counter);

  CREATE TABLE operations (
    command INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    cid TEXT,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (command, idx)
  ) WITHOUT ROWID;

  CREATE TABLE registers (
    cid TEXT NOT NULL,
    pinset TEXT NOT NULL,
    author TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('pin', 'unpin')),
    at_ms INTEGER NOT NULL,
    at_counter INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    command INTEGER NOT NULL,
    id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    spelled TEXT NOT NULL,
    name TEXT,
    origins TEXT,
    expires INTEGER,
    counterpart TEXT,
    PRIMARY KEY (cid, pinset, author, kind)
  ) WITHOUT ROWID;
  CREATE INDEX registers_by_author ON registers (author, cid);
  CREATE INDEX registers_by_expiry ON registers (expires, cid) WHERE expires IS NOT NULL;

  CREATE TABLE holds (cid TEXT NOT NULL, pinset TEXT NOT NULL, PRIMARY KEY (cid, pinset)) WITHOUT ROWID;

  CREATE TABLE pins (
    cid TEXT PRIMARY KEY,
    spelled TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    is_foreign INTEGER NOT NULL,
    pinned_at INTEGER NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cid TEXT NOT NULL UNIQUE,
    action TEXT NOT NULL CHECK (action IN ('pin', 'unpin')),
    spelled TEXT NOT NULL,
    origins TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    code TEXT,
    next_at INTEGER NOT NULL
  );
  CREATE INDEX jobs_in_order ON jobs ((attempt > 0), next_at, id);
  `,
  // 2: registers of operations of kinds to come, and which commands hold none any more.
  `
  CREATE TABLE registers_v2 (
    cid TEXT NOT NULL,
    pinset TEXT NOT NULL,
    author TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    at_counter INTEGER NOT NULL,
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    command INTEGER NOT NULL,
    id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    spelled TEXT NOT NULL,
    name TEXT,
    origins TEXT,
    expires INTEGER,
    counterpart TEXT,
    unsupported INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cid, pinset, author, kind)
  ) WITHOUT ROWID;
  INSERT INTO registers_v2 SELECT *, 0 FROM registers;
  DROP TABLE registers;
  ALTER TABLE registers_v2 RENAME TO registers;
  CREATE INDEX registers_by_author ON registers (author, cid);
  CREATE INDEX registers_by_expiry ON registers (expires, cid) WHERE expires IS NOT NULL;
  CREATE INDEX registers_by_command ON registers (command);
  CREATE INDEX registers_by_counterpart ON registers (counterpart, cid) WHERE counterpart IS NOT NULL AND kind = 'unpin';

  CREATE TABLE unsettled (author TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE quiet (command INTEGER PRIMARY KEY);
  CREATE TABLE passed (command INTEGER PRIMARY KEY, at INTEGER NOT NULL);
  INSERT INTO passed SELECT seq, accepted_at FROM commands WHERE NOT EXISTS (SELECT 1 FROM registers WHERE command = seq);
  `,
  // 3: what the file says of authors, apart from what follows together with what admins say.
  `
  CREATE TABLE filed_authors (author TEXT PRIMARY KEY, standing TEXT NOT NULL) WITHOUT ROWID;
  INSERT INTO filed_authors SELECT author, standing FROM authors;
  CREATE INDEX admin_commands ON commands (seq) WHERE pinset IS NULL;
  `,
  // 4: the log: commands by when they were accepted, those that are kept for it alone, and what was refused. `place` counts the bytes of
  // all that was ever moved to the history, up to the end of the row.
  `
  CREATE INDEX commands_by_acceptance ON commands (accepted_at);

  CREATE TABLE history (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    author TEXT NOT NULL,
    pinset TEXT,
    accepted_at INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    operations TEXT NOT NULL
  );
  CREATE INDEX history_by_acceptance ON history (accepted_at);

  CREATE TABLE refusals (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    code TEXT NOT NULL,
    author TEXT,
    is_proven INTEGER NOT NULL,
    command TEXT,
    pinset TEXT,
    peer TEXT NOT NULL,
    more INTEGER NOT NULL
  );
  CREATE INDEX refusals_by_time ON refusals (at);
  `,
  // 5: whose pins are taken on, and what that comes to; pins that a cap refused. Rows are charged by update alone, and never removed.
  `
  ALTER TABLE registers ADD COLUMN refused TEXT;
  ALTER TABLE registers ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE registers ADD COLUMN bytes INTEGER;
  CREATE INDEX registers_refused ON registers (author) WHERE refused IS NOT NULL;

  CREATE TABLE usage (author TEXT PRIMARY KEY, pins INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TRIGGER usage_counted AFTER UPDATE OF charged, bytes ON registers BEGIN
    INSERT INTO usage VALUES (NEW.author, NEW.charged - OLD.charged, coalesce(NEW.bytes, 0) - coalesce(OLD.bytes, 0))
      ON CONFLICT (author) DO UPDATE SET pins = pins + excluded.pins, bytes = bytes + excluded.bytes;
  END;

  UPDATE registers SET charged = 1, bytes = (SELECT pins.bytes FROM pins WHERE pins.cid = registers.cid)
    WHERE kind = 'pin' AND unsupported = 0
      AND EXISTS (SELECT 1 FROM holds WHERE holds.cid = registers.cid AND holds.pinset = registers.pinset)
      AND NOT EXISTS (
        SELECT 1 FROM registers AS own
        WHERE own.cid = registers.cid AND own.pinset = registers.pinset AND own.author = registers.author AND own.kind = 'unpin'
          AND (own.at_ms, own.at_counter, own.ms, own.counter, own.id)
            > (registers.at_ms, registers.at_counter, registers.ms, registers.counter, registers.id)
      );
  `
]

/** Who makes and updates it, for whoever only reads. */
export const NODE_OWNER: Owner = { missing: 'no agent has run in this home', updatedBy: 'pinsub node' }

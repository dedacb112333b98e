import type { Owner } from './open-read-only.ts'
import type { Migration } from './open.ts'

/** The sender's ledger, `sender/ledger.db`. */
export const LEDGER_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE clock (only INTEGER PRIMARY KEY CHECK (only = 1), ms INTEGER NOT NULL, counter INTEGER NOT NULL);
  INSERT INTO clock VALUES (1, 0, 0);

  CREATE TABLE commands (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    network TEXT NOT NULL,
    author TEXT NOT NULL,
    pinset TEXT NOT NULL,
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    envelope BLOB NOT NULL
  );
  CREATE INDEX commands_unaccepted ON commands (network, author, seq) WHERE accepted = 0;

  CREATE TABLE operations (
    command INTEGER NOT NULL REFERENCES commands (seq) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    op TEXT NOT NULL,
    cid TEXT NOT NULL,
    PRIMARY KEY (command, idx)
  ) WITHOUT ROWID;
  CREATE INDEX operations_by_cid ON operations (cid, command);

  CREATE TABLE receipts (
    command INTEGER NOT NULL REFERENCES commands (seq) ON DELETE CASCADE,
    node TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (command, node)
  ) WITHOUT ROWID;
  `,
  // 2: which receipts need not be asked for again.
  'ALTER TABLE receipts ADD COLUMN settled INTEGER NOT NULL DEFAULT 0',
  // The log goes by time.
  'CREATE INDEX commands_by_time ON commands (ms)'
]

/** Who makes and updates it, for whoever only reads. */
export const LEDGER_OWNER: Owner = { missing: 'nothing was sent from this home', updatedBy: 'pinsub status' }

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openLedger } from '../../src/storage/ledger.ts'
import { describeLedger } from '../contract/ledger.ts'

const dir = mkdtempSync(join(tmpdir(), 'pinsub-ledger-'))
afterAll(() => rmSync(dir, { recursive: true }))

describeLedger('SQLite', (place) => openLedger(join(dir, place)))

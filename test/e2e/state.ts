/** Looks into the state of an agent from outside, while it runs or not. */
import { setTimeout as pause } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { homeLayout } from '../../src/config/home.ts'
import type { Expected } from './expected.ts'
import { same } from './same.ts'

/** The rows of a query of the state of the agent in a home, each as its values joined by spaces. */
export function rows(home: string, text: string): string[] {
  using db = new DatabaseSync(homeLayout(home).stateDb, { readOnly: true, timeout: 5_000 })
  return db
    .prepare(text)
    .all()
    .map((row) => Object.values(row).join(' '))
}

/** How many jobs wait or run. */
export function jobs(home: string): number {
  return Number(rows(home, 'SELECT count(*) FROM jobs')[0])
}

/** Throws unless the state is sound, nothing is left to do, and what stands is what was said. */
export function checkState(home: string, expected: Expected): void {
  same(rows(home, 'PRAGMA integrity_check'), ['ok'], 'integrity of the state')
  same(rows(home, 'SELECT action, cid, code FROM jobs'), [], 'jobs')
  same(rows(home, 'SELECT cid, pinset FROM holds'), expected.holds, 'holds')
  same(rows(home, 'SELECT cid FROM pins'), expected.pins, 'pins')
  same(rows(home, 'SELECT author, pinset, cid, kind, id FROM registers'), registersOf(expected), 'registers')
}

/** Whether the agent knows all that was said, whatever it has done of it. */
export function knows(home: string, expected: Expected): boolean {
  // Looked at often: the agent shall have the machine for itself.
  if (Number(rows(home, 'SELECT count(*) FROM registers')[0]) < expected.registers.size) return false
  const found = new Set(rows(home, 'SELECT author, pinset, cid, kind, id FROM registers'))
  return registersOf(expected).every((register) => found.has(register))
}

function registersOf({ registers }: Expected): string[] {
  return [...registers].map(([key, { rank }]) => `${key} ${rank.command}`)
}

/** Looks every 20 ms until it is so; rejects after `ms`, with the name of what is not. */
export async function until(what: string, is: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await is())) {
    if (Date.now() > end) throw new Error(`not within ${ms / 1_000} s: ${what}`)
    await pause(20)
  }
}

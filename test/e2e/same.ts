import assert from 'node:assert/strict'

/** Throws, with what is missing and what is too much, unless both have the same lines, in whatever order. */
export function same(found: readonly string[], expected: readonly string[], what: string): void {
  const [has, wants] = [new Set(found), new Set(expected)]
  const missing = expected.filter((line) => !has.has(line))
  const extra = found.filter((line) => !wants.has(line))
  assert.deepEqual({ missing, extra, count: found.length }, { missing: [], extra: [], count: expected.length }, what)
}

import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import type { FiledKeys } from '../../src/protocol/admin.ts'

/** A file as a node has it that read no other before. */
export function fileOf({ grants, revoked }: AuthorizedKeys): FiledKeys {
  const standings = new Map([...grants].map(([author, grant]) => [author, { grant, voided: false }]))
  return { order: [...grants.keys()], standings, revoked }
}

/** All orders of some items. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))
}

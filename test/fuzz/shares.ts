/** How many runs each target gets of so many in all: fewer where one costs more. */
import type { Target } from './target.ts'

/** At least these: a target with a daemon in it is worth a few. */
const FEWEST = 50

/** Targets and their runs, which come to `total` and little more. */
export function shares(targets: readonly Target[], total: number): readonly (readonly [Target, number])[] {
  const sum = targets.reduce((all, { cost = 1 }) => all + 1 / cost, 0)
  return targets.map((target) => [target, Math.max(FEWEST, Math.ceil(total / (target.cost ?? 1) / sum))])
}

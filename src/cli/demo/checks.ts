/** The demo's conscience: a step that is shown is checked too. */
import type { Output } from '../output.ts'
import { CliError, EXIT } from '../exit.ts'

/** Counts what held. */
export interface Checks {
  /** Ends the demo with the name of the check when it does not hold. */
  that(name: string, holds: boolean, found?: unknown): void
  passed(): number
}

/** Makes an empty book of checks. */
export function createChecks(output: Output): Checks {
  let passed = 0
  return {
    that(name, holds, found) {
      output.event({ event: 'check', name, ok: holds })
      if (!holds)
        throw new CliError(EXIT.local, 'check', `the demo failed: ${name}${found === undefined ? '' : ` (found ${JSON.stringify(found)})`}`)
      passed++
    },
    passed: () => passed
  }
}

/** Builds dist/ once before the tests that run it. */
import { build } from '../../scripts/build.ts'

/** Called by vitest before the first test; throws where the build fails. */
export async function setup(): Promise<void> {
  await build({ types: true })
}

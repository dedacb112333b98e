import { defineConfig } from 'vitest/config'

/** Tests of what is shipped: they run the bundle, so it is built once before them. */
const SHIPPED = ['test/tooling/{package,compose,healthcheck}.test.ts', 'test/e2e/**/*.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', 'json'],
    outputFile: { json: 'node_modules/.vitest/report.json' },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      // These wait more than they work; those that run whole networks of processes have the machine for themselves.
      {
        extends: true,
        test: { name: 'rooms', include: ['test/**/*.test.ts'], exclude: SHIPPED, maxWorkers: 2, sequence: { groupOrder: 0 } }
      },
      {
        extends: true,
        test: { name: 'shipped', include: SHIPPED, globalSetup: 'test/support/build-once.ts', maxWorkers: 1, sequence: { groupOrder: 1 } }
      }
    ]
  }
})

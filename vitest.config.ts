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
      { extends: true, test: { name: 'rooms', include: ['test/**/*.test.ts'], exclude: SHIPPED } },
      { extends: true, test: { name: 'shipped', include: SHIPPED, globalSetup: 'test/support/build-once.ts' } }
    ]
  }
})

import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// The long hostile suites (races, kill -9) run by `npm run test:hostile`.
const hostile = process.env.npm_lifecycle_event === 'test:hostile'

export default defineConfig({
  test: {
    include: [hostile ? 'test/hostile/**/*.test.ts' : 'test/**/*.test.ts'],
    exclude: hostile ? [] : ['test/hostile/**'],
    globalSetup: 'test/support/setup.ts',
    // A test mostly waits for the program it started. The hostile suites load the machine by themselves: one at a time.
    maxWorkers: hostile ? 1 : availableParallelism() + 1,
    // A test starts the program many times, on machines that may have two busy cores.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})

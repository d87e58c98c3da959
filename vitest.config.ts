import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/setup.ts',
    // A test starts the program several times, on machines that may have two busy cores.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})

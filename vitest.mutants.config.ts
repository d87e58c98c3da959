import { defineConfig } from 'vitest/config'

/** The tests that `npm run mutants` has find its changes: those that run the sources in their own process, in a second. */
export default defineConfig({
  test: {
    include: [
      'test/unit/{crypto,keys,platforms}/**/*.test.ts',
      'test/unit/receiver/match.test.ts',
      'test/unit/store/decrypt*.test.ts',
      'test/property/encryption.test.ts',
    ],
    pool: 'threads',
  },
})

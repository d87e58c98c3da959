import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// A test starts the program many times, on machines that may have two busy cores.
const patient = { testTimeout: 300_000, hookTimeout: 300_000 }
const globalSetup = 'test/support/setup.ts'

/** Small files that take long. */
const long = ['e2e/smoke', 'database/store/server-settings', 'database/receiver/revived', 'e2e/compile-cache']

/** Vitest begins with the largest files where it knows no durations, and would have the others wait for these. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => long.some((name) => moduleId.endsWith(`/${name}.test.ts`))
    return [...sorted.filter(isLong), ...sorted.filter((one) => !isLong(one))]
  }
}

export default defineConfig({
  test: {
    // A test waits for the program it started, for the database, and for what is typed at a terminal.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: LongestFirst },
    // Of tests that import the sources; what those that start the program or a browser run is not counted.
    coverage: {
      include: ['src/**'],
      exclude: ['src/store/generated/**', 'src/cli/report/page/client/**'],
      reporter: ['text'],
    },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          isolate: false,
          pool: 'threads',
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/{property,database,e2e,docs}/**/*.test.ts'],
          globalSetup,
          // A process that has run the program before runs it in a fraction of the time.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
          ...patient,
        },
      },
      // Installs and builds, with npm and the compilers of others.
      { test: { name: 'package', include: ['test/package/**/*.test.ts'], globalSetup, ...patient } },
      // What these need is installed from npm, and built: two minutes.
      { test: { name: 'frameworks', include: ['test/frameworks/**/*.test.ts'], globalSetup, ...patient } },
      // The page of a report, in Chromium.
      { test: { name: 'browser', include: ['test/browser/**/*.test.ts'], globalSetup, ...patient } },
      // Races and kill -9. They load the machine by themselves, so that one file runs at a time.
      { test: { name: 'crash', include: ['test/crash/**/*.test.ts'], globalSetup, ...patient } },
    ],
  },
})

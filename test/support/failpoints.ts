import { resolve } from 'node:path'
import { build, type RolldownOptions } from 'rolldown'
import { loadConfig } from 'rolldown/config'

/**
 * Builds the program with the tests' own failpoints, as deep in this project as the real one, from where it finds its
 * migrations.
 *
 * @returns its entry
 */
export async function buildWithFailpoints(): Promise<string> {
  const dir = 'dist-failpoints'
  const config = (await loadConfig(resolve('rolldown.config.js'))) as RolldownOptions
  await build({
    ...config,
    logLevel: 'silent',
    plugins: [
      config.plugins,
      {
        name: 'failpoints',
        load: (id) =>
          id === resolve('src/failpoint.ts')
            ? `export * from ${JSON.stringify(resolve('test/support/failpoint.ts'))}`
            : null,
      },
    ],
    output: { ...(config.output as object), dir },
  })
  return resolve(dir, 'main.cjs')
}

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { execute, freshFolder } from './support/cli.ts'

test('a run that fails ends as one, with the embedded server loaded', async () => {
  const script = join(freshFolder(), 'failing.mts')
  writeFileSync(script, `import '${resolve('test/support/postgresql.ts')}'\nprocess.exitCode = 3\n`)
  expect(await execute(resolve('node_modules/.bin/jiti'), [script])).toMatchObject({ code: 3 })
})

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runCommand, runProgram } from '../support/program.ts'

test('a run that fails ends as one, with the embedded server loaded', async () => {
  const script = join(freshFolder(), 'failing.mts')
  writeFileSync(script, `import '${resolve('test/support/postgresql.ts')}'\nprocess.exitCode = 3\n`)
  expect(await runCommand(resolve('node_modules/.bin/jiti'), [script])).toMatchObject({ code: 3 })
})

test('what the program answers in this process is what it answers as one', async () => {
  const db = await freshDatabase('sqlite')
  const run = (how: typeof runInProcess, args: string[], input = '') =>
    how(args, { env: { DATABASE_URL: db.url }, input })
  const add = ['add', '--platform', 'pylon', '--new-workspace', 'Acme', '--name', 'desk', '--webhook-secret-stdin']
  for (const [args, code, input = ''] of [
    [add, 2],
    [[...add, '--dry-run', '-o', 'json', '--fields', 'name'], 0, 'value-of-a-test'],
    [['--version'], 0],
    [['list', '--nothing'], 2],
    [['show', 'Acme/ödland'], 3],
    [['help', 'exit-codes'], 0],
    [['audit', 'list', '-o', 'csv'], 0],
  ] as [string[], number, string?][]) {
    const outcome = await run(runProgram, args, input)
    expect({ args, ...outcome }).toMatchObject({ args, code })
    expect({ args, ...(await run(runInProcess, args, input)) }).toEqual({ args, ...outcome })
  }
})

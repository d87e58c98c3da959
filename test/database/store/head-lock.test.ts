import { expect, test } from 'vitest'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { runProgram } from '../../support/program.ts'
import { filledDatabase } from '../../support/sample-commands.ts'
import { signingSecret } from '../../support/samples.ts'

const rotation = ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '1h', '--end-previous']

// The lock of the application's row is one more than SQLite needs; the end of an open grace period is another two.
test.for([
  { args: ['toggle', 'Acme/support'], input: '', most: 9 },
  { args: rotation, input: signingSecret(8), most: 15 },
])('all others wait for at most $most statements of $args.0', async ({ args, input, most }, context) => {
  const db = await filledDatabase('postgresql')
  const proxy = await startFaultProxy(db.url, context)
  let locked = Number.NaN
  let ended = Number.NaN
  proxy.doAt('UPDATE integration_settings SET updated_at', async () => {
    locked = proxy.messages()
    proxy.doAt('; COMMIT', async () => {
      ended = proxy.messages()
    })
  })
  const { code } = await runProgram(args, { env: { DATABASE_URL: proxy.url }, input })
  expect(code).toBe(0)
  // The message of the lock counts after it was seen, that of COMMIT does not.
  expect(ended - locked - 1).toBeGreaterThan(5)
  expect(ended - locked - 1).toBeLessThanOrEqual(most)
})

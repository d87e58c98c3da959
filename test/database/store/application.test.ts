import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { begin, freshDatabase, kinds } from '../../support/database.ts'
import { runProgram } from '../../support/program.ts'

describe.each(kinds)('while the application is changing an integration on %s', (kind) => {
  test('a change waits for it, and loses nothing of it', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const added = await runProgram(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], {
      env,
    })
    expect(added.code).toBe(0)

    const commit = await begin(db, `UPDATE integrations SET config = '{"theirs":1}', is_active = false`)
    const change = runProgram(['config', 'set', 'support', 'slackEvents=["message"]', '-o', 'json'], { env })
    await sleep(1500)
    await commit()

    const { code, stdout } = await change
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({
      code: 0,
      config: { slackEvents: ['message'], theirs: 1 },
      isActive: false,
      version: 2,
    })
  })
})

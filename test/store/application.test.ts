import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { integrations } from '../support/cli.ts'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'

/** Begins a transaction as the application, with one statement; the answer commits it. */
async function begin(db: TestDatabase, statement: string): Promise<() => Promise<void>> {
  if (db.kind === 'sqlite') {
    const client = createClient({ url: db.url })
    const transaction = await client.transaction('write')
    await transaction.execute(statement)
    return async () => {
      await transaction.commit()
      client.close()
    }
  }
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  await client.query('BEGIN')
  await client.query(statement)
  return async () => {
    await client.query('COMMIT')
    await client.end()
  }
}

describe.each(kinds)('while the application is changing an integration on %s', (kind) => {
  test('a change waits for it, and loses nothing of it', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const added = await integrations(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], {
      env,
    })
    expect(added.code).toBe(0)

    const commit = await begin(db, `UPDATE integrations SET config = '{"theirs":1}', is_active = false`)
    const change = integrations(['config', 'set', 'support', 'slackEvents=["message"]', '-o', 'json'], { env })
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

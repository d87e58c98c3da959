import { readdirSync, readFileSync } from 'node:fs'
import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runProgram } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const guide = readFileSync('docs/adopting.md', 'utf8')
const leaving = /^```sql\n(BEGIN;\nDROP TABLE[\s\S]*?)^```/m.exec(guide)?.[1] ?? ''

const tables = async (db: TestDatabase) =>
  (
    await db.query(
      db.kind === 'sqlite'
        ? "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        : "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY name",
    )
  ).map(({ name }) => name)

const indexes = (db: TestDatabase) =>
  db.query(
    db.kind === 'sqlite'
      ? "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'integration!_%' ESCAPE '!'"
      : "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'integration!_%' ESCAPE '!'",
  )

test('the script for leaving names every migration', () => {
  for (const kind of kinds) {
    const names = readdirSync(`prisma/migrations/${kind}`).filter((name) => name.includes('_integrations__'))
    expect(leaving.match(/'\d{14}_\w+'/g)).toEqual(names.map((name) => `'${name}'`))
  }
})

/** Runs a whole script on one connection. */
async function runScript({ kind, url, query }: TestDatabase, script: string): Promise<void> {
  if (kind === 'postgresql') return void (await query(script))
  const client = createClient({ url })
  await client.executeMultiple(script)
  client.close()
}

describe.each(kinds)('leaving %s', (kind) => {
  test('takes all of ours and nothing of the application', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, SLACK_TOKEN: botToken() }
    const input = signingSecret()
    const flags = ['--webhook-secret-stdin', '--access-token-env', 'SLACK_TOKEN', '--no-expiry']
    const added = await runProgram(
      ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', ...flags],
      { env, input },
    )
    expect(added).toMatchObject({ code: 0 })
    await db.query(
      "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('1', 'x', '20200101000000_init', CURRENT_TIMESTAMP)",
    )
    for (const words of ['mode migrating', 'mode off', 'reencrypt --decrypt'])
      expect(await runProgram(['keys', ...words.split(' ')], { env })).toMatchObject({ code: 0 })
    const before = await db.query('SELECT * FROM integrations')
    expect(await tables(db)).toContain('integration_secrets')
    expect((await indexes(db)).length).toBeGreaterThan(5)
    // The guide tells Prisma of every table of ours.
    for (const table of (await tables(db)).filter((name) => String(name).startsWith('integration_')))
      expect(guide).toContain(`'public.${table}'`)

    await runScript(db, leaving)

    expect(await tables(db)).toEqual(['_prisma_migrations', 'integrations', 'users', 'workspaces'])
    expect(await indexes(db)).toEqual([])
    expect(await db.query('SELECT migration_name FROM _prisma_migrations')).toEqual([
      { migration_name: '20200101000000_init' },
    ])
    expect(JSON.stringify(await db.query('SELECT * FROM integrations')) === JSON.stringify(before)).toBe(true)

    // What is left is a database like any other application's.
    expect(await runProgram(['db', 'adopt'], { env })).toMatchObject({ code: 0 })
  })
})

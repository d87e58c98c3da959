import { readdirSync, readFileSync } from 'node:fs'
import { createClient } from '@libsql/client/sqlite3'
import { expect, test } from 'vitest'
import { tablesOfIntegrations } from '../../src/store/tables/integrations.ts'
import { application, database, rows } from '../support/application.ts'
import { contents, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'

test.each(kinds)('every table of %s whose rows go with an integration is swept', (kind) => {
  const folder = `prisma/migrations/${kind}`
  const scripts = readdirSync(folder)
    .filter((name) => name.includes('_integrations__'))
    .map((name) => readFileSync(`${folder}/${name}/migration.sql`, 'utf8'))
  const found = scripts.flatMap((script) =>
    [...script.matchAll(/CONSTRAINT "(\w+)_integration_id_fkey" FOREIGN KEY/g)].map(([, table]) => table),
  )
  expect(found).toEqual([...tablesOfIntegrations])
})

test('what an application deletes in SQLite without foreign keys is swept, and nothing else', async () => {
  const db = await database('sqlite', application.sqlite, rows)
  const env = { DATABASE_URL: db.url }
  const run = async (args: string[], input?: string) => {
    const outcome = await runInProcess(args, { env, ...(input === undefined ? {} : { input }) })
    expect({ args, ...outcome }).toMatchObject({ args, code: 0 })
    return outcome
  }
  await run(['db', 'adopt'])
  const add = ['add', '--platform', 'github', '--workspace', 'Acme', '--name', 'kept', '--webhook-secret-stdin']
  await run(add, 'a-webhook-secret')
  await run(['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h'], 'new-webhook-secret')
  await run(['config', 'set', 'support', 'pylonEvents=[]'])
  const all = await contents(db)
  expect((await run(['db', 'sweep', '-o', 'json'])).stdout).toBe('[]\n')
  expect(await contents(db)).toEqual(all)

  const client = createClient({ url: db.url })
  await client.executeMultiple(
    "PRAGMA foreign_keys = OFF; DELETE FROM agents; DELETE FROM integrations WHERE name = 'support';",
  )
  client.close()
  const before = await contents(db)
  const dry = await run(['db', 'sweep', '--dry-run', '--fields', 'id,name'])
  expect([dry.stdout, await contents(db)]).toEqual(['IRFa-VaY2b_6KKrd\tAcme/support\n', before])
  await run(['db', 'sweep'])
  const after = await contents(db)
  const changed = Object.keys(after).filter((table) => JSON.stringify(after[table]) !== JSON.stringify(before[table]))
  expect(changed.sort()).toEqual([
    'integration_config_revisions',
    'integration_events',
    'integration_secrets',
    'integration_settings',
    'integration_versions',
  ])
  for (const table of tablesOfIntegrations) expect(JSON.stringify(after[table])).not.toContain('IRFa-VaY2b_6KKrd')
  expect(after.integration_secrets?.length).toBe(1)
  expect((await run(['db', 'sweep'])).stderr).toBe('nothing is kept of integrations that are gone\n')
  expect(JSON.parse((await run(['audit', 'verify', '-o', 'json'])).stdout)).toMatchObject({ ok: true })
})

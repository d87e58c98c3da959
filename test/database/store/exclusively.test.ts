import { expect, test } from 'vitest'
import { postgresql } from '../../../src/store/database/postgresql/postgresql.ts'
import { parsePostgresqlUrl } from '../../../src/store/database/postgresql/url.ts'
import { emptyPostgresql } from '../../support/database.ts'

test('what PostgreSQL runs exclusively ends with its connection', async () => {
  const db = await emptyPostgresql()
  const ours = `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'integrations'`
  const work = postgresql({ ...parsePostgresqlUrl(db.url, {}), waitMs: 5000, readOnly: false }).withMigrationLock(
    async (adapter) => {
      await adapter.executeScript('CREATE TABLE before (id int)')
      await db.query(`SELECT pg_terminate_backend(pid) ${ours}`)
      while ((await db.query(`SELECT 1 ${ours}`)).length > 0);
      await adapter.executeScript('CREATE TABLE after (id int)')
    },
  )
  await expect(work).rejects.toMatchObject({ code: '57P01' })
  expect(await db.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)).toEqual([])
})

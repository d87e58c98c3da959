import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { describe, expect, test } from 'vitest'
import { difference } from '../../../scripts/author-migration.ts'
import {
  emptyPostgresql,
  freshDatabase,
  type Kind,
  kinds,
  sqliteDatabase,
  type TestDatabase,
} from '../../support/database.ts'
import { freshFolder } from '../../support/program.ts'

const columns = `SELECT table_name AS "table", column_name AS name,
    CASE WHEN datetime_precision IS NULL THEN data_type ELSE data_type || ' (' || datetime_precision || ')' END AS type,
    is_nullable = 'YES' AS nullable, column_default AS "default"
  FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`

const constraints = `SELECT conrelid::regclass::text AS "table", pg_get_constraintdef(oid) AS definition FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2`

const indexes = `SELECT tablename AS "table", indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`

const sqlite = (pragma: string, columns: string) =>
  `SELECT m.name AS "table", ${columns} FROM sqlite_master m JOIN ${pragma}(m.name) p WHERE m.type = 'table' ORDER BY 1, 2`

/** Everything that a database says of its tables, but for Prisma's own, the order of columns, and triggers, of which models cannot speak. */
async function catalogue(db: TestDatabase): Promise<Record<string, unknown>[][]> {
  const queries =
    db.kind === 'sqlite'
      ? [
          sqlite('pragma_table_xinfo', 'p.name, p.type, p."notnull", p.dflt_value, p.pk, p.hidden'),
          sqlite('pragma_foreign_key_list', 'p."from", p."table" AS target, p."to", p.on_delete, p.on_update'),
          `SELECT tbl_name AS "table", sql AS definition FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1, 2`,
        ]
      : [columns.replace('ordinal_position', 'column_name'), constraints, indexes]
  const answers = await Promise.all(queries.map((query) => db.query(query)))
  return answers.map((rows) => rows.filter((row) => row.table !== '_prisma_migrations'))
}

/** A database made from the models alone. */
async function fromModels(kind: Kind): Promise<TestDatabase> {
  const script = await difference(kind, null, readFileSync('prisma/models.prisma', 'utf8'))
  if (kind === 'postgresql') {
    const db = await emptyPostgresql()
    await db.query(script)
    return db
  }
  const file = join(freshFolder(), 'models.db')
  const client = createClient({ url: `file:${file}` })
  await client.executeMultiple(script)
  client.close()
  return sqliteDatabase(file)
}

describe.each(kinds)('on %s', (kind) => {
  test('models and migrations agree', async () => {
    const migrated = await catalogue(await freshDatabase(kind))
    expect(migrated[0]?.length).toBeGreaterThan(5)
    // Nor can they speak of an index of some rows alone, of byte order, or of a check.
    const partial =
      / "?integration_secrets_kept_idx"? .*"?valid_until"?\) WHERE \(?"?sealed"? IS NOT NULL\)?$| "?integration_events_revocations_idx"? .*"?seq"?\) WHERE \(?"?action"? = 'secret.revoke'(::text)?\)?$/
    const isPartial = ({ definition }: Record<string, unknown>) => partial.test(String(definition))
    expect(migrated.flat().filter(isPartial)).toHaveLength(2)
    const isInByteOrder = ({ definition }: Record<string, unknown>) =>
      String(definition) === 'CREATE INDEX integration_id_idx ON public.integrations USING btree (id COLLATE "C")'
    expect(migrated.flat().filter(isInByteOrder)).toHaveLength(kind === 'postgresql' ? 1 : 0)
    const isCheck = ({ definition }: Record<string, unknown>) => definition === 'CHECK ((format IS NOT NULL)) NOT VALID'
    expect(migrated.flat().filter(isCheck)).toHaveLength(kind === 'postgresql' ? 1 : 0)
    const isModelled = (row: Record<string, unknown>) => !isPartial(row) && !isInByteOrder(row) && !isCheck(row)
    const withoutOrder = ({ definition, ...row }: Record<string, unknown>) =>
      typeof definition === 'string' ? { ...row, definition: definition.replaceAll(' COLLATE "C"', '') } : row
    expect(migrated.map((rows) => rows.filter(isModelled).map(withoutOrder))).toEqual(
      await catalogue(await fromModels(kind)),
    )
  })

  test('the models of the last migration are the models', () => {
    expect(readFileSync('prisma/migrations/models.prisma', 'utf8')).toBe(readFileSync('prisma/models.prisma', 'utf8'))
  })

  test('deleting a workspace deletes its integrations and all that is kept of them, deleting a user leaves theirs', async () => {
    const db = await freshDatabase(kind)
    const now = '2026-01-02T03:04:05.678+00:00'
    await db.query(
      `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w1', 'Acme', ?, ?), ('w2', 'Bolt', ?, ?)`,
      now,
      now,
      now,
      now,
    )
    await db.query(
      `INSERT INTO users (id, email, created_at, updated_at) VALUES ('u1', 'ana@example.com', ?, ?)`,
      now,
      now,
    )
    await db.query(
      `INSERT INTO integrations (id, workspace_id, platform, name, created_by) VALUES ('i1', 'w1', 'slack', 'a', 'u1'), ('i2', 'w2', 'slack', 'b', 'u1')`,
    )
    await db.query(
      `INSERT INTO integration_versions (integration_id, version, updated_at) VALUES ('i1', 1, ?), ('i2', 1, ?)`,
      now,
      now,
    )
    await db.query(
      `INSERT INTO integration_secrets (integration_id, field, number, origin, set_at) VALUES ('i1', 'access_token', 1, 'provided', ?), ('i2', 'access_token', 1, 'provided', ?)`,
      now,
      now,
    )

    await db.query(`DELETE FROM workspaces WHERE id = 'w1'`)
    await db.query(`DELETE FROM users WHERE id = 'u1'`)

    expect(await db.query('SELECT id, created_by FROM integrations')).toEqual([{ id: 'i2', created_by: null }])
    expect(await db.query('SELECT integration_id AS id FROM integration_versions')).toEqual([{ id: 'i2' }])
    expect(await db.query('SELECT integration_id AS id FROM integration_secrets')).toEqual([{ id: 'i2' }])
  })
})

test("the application's tables on postgresql are the ones it was promised", async () => {
  const db = await freshDatabase('postgresql')
  const application = (rows: Record<string, unknown>[]) =>
    rows.filter(({ table }) => ['workspaces', 'users', 'integrations'].includes(String(table)))
  const text = (rows: Record<string, unknown>[]) =>
    application(rows).map((row) => Object.values(row).map(String).join(' | '))
  expect(text(await db.query(columns))).toEqual([
    'integrations | id | text | false | null',
    'integrations | workspace_id | text | false | null',
    'integrations | platform | text | false | null',
    'integrations | name | text | false | null',
    'integrations | webhook_secret | text | true | null',
    'integrations | access_token | text | true | null',
    'integrations | refresh_token | text | true | null',
    'integrations | token_expires_at | timestamp without time zone (3) | true | null',
    'integrations | slack_team_id | text | true | null',
    'integrations | slack_team_name | text | true | null',
    'integrations | slack_bot_user_id | text | true | null',
    'integrations | pylon_account_id | text | true | null',
    'integrations | is_active | boolean | true | true',
    'integrations | config | jsonb | true | null',
    'integrations | last_used_at | timestamp without time zone (3) | true | null',
    'integrations | created_at | timestamp without time zone (3) | false | CURRENT_TIMESTAMP',
    'integrations | created_by | text | true | null',
    'users | id | text | false | null',
    'users | email | text | false | null',
    'users | name | text | true | null',
    'users | created_at | timestamp without time zone (3) | false | null',
    'users | updated_at | timestamp without time zone (3) | false | null',
    'workspaces | id | text | false | null',
    'workspaces | name | text | false | null',
    'workspaces | created_at | timestamp without time zone (3) | false | null',
    'workspaces | updated_at | timestamp without time zone (3) | false | null',
  ])
  // pg_get_constraintdef leaves out ON UPDATE NO ACTION, which is the default.
  expect(text(await db.query(constraints))).toEqual([
    'integrations | FOREIGN KEY (created_by) REFERENCES users(id) ON DELETE SET NULL',
    'integrations | FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE',
    'integrations | PRIMARY KEY (id)',
    'users | PRIMARY KEY (id)',
    'workspaces | PRIMARY KEY (id)',
  ])
  expect(text(await db.query(indexes)).filter((line) => line.includes('email'))).toEqual([
    'users | CREATE UNIQUE INDEX users_email_key ON public.users USING btree (email)',
  ])
})

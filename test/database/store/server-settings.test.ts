import { expect, test } from 'vitest'
import { emptyPostgresql, freshDatabase, postgresqlDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { smoke } from '../../support/smoke.ts'

/** What a role or a database may have set for what people read and write, a column of it at a time. */
const settings: { readonly [name: string]: readonly string[] } = {
  DateStyle: ['German', 'SQL, DMY', 'Postgres, MDY'],
  IntervalStyle: ['sql_standard', 'iso_8601', 'postgres_verbose'],
  TimeZone: ['Asia/Kathmandu', 'America/St_Johns', 'Pacific/Kiritimati'],
  default_transaction_isolation: ['serializable', 'repeatable read', 'read uncommitted'],
  default_transaction_deferrable: ['on', 'off', 'on'],
  standard_conforming_strings: ['off', 'on', 'off'],
  backslash_quote: ['off', 'on', 'safe_encoding'],
  bytea_output: ['escape', 'hex', 'escape'],
  client_encoding: ['LATIN1', 'EUC_JP', 'SQL_ASCII'],
  extra_float_digits: ['-15', '3', '0'],
  array_nulls: ['off', 'on', 'off'],
  transform_null_equals: ['on', 'off', 'on'],
  quote_all_identifiers: ['on', 'off', 'on'],
  lc_monetary: ['C', 'C', 'C'],
  row_security: ['off', 'on', 'off'],
  plan_cache_mode: ['force_generic_plan', 'force_custom_plan', 'auto'],
  enable_seqscan: ['off', 'on', 'on'],
  jit_above_cost: ['0', '-1', '0'],
  client_min_messages: ['debug5', 'error', 'notice'],
}

test.each([0, 1, 2])('whatever a database has set for its sessions changes nothing: column %i', async (column) => {
  const db = await freshDatabase('postgresql')
  const name = new URL(db.url).pathname.slice(1)
  for (const [setting, values] of Object.entries(settings))
    await db.query(`ALTER DATABASE "${name}" SET ${setting} = '${values[column]}'`)
  await smoke(db)
})

test.each(['LATIN1', 'SQL_ASCII'])('a database in %s is one as in UTF-8', async (encoding) => {
  const other = await emptyPostgresql()
  const name = `in_${encoding.toLowerCase()}_${process.pid}`
  await other.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`)
  const db = postgresqlDatabase(Object.assign(new URL(other.url), { pathname: `/${name}` }).href)
  const run = (...args: string[]) => runInProcess(args, { env: { DATABASE_URL: db.url } })
  expect(await run('init')).toMatchObject({ code: 0 })
  await smoke(db)
  const refused = {
    code: 2,
    stdout: '',
    stderr: `error: a character of the input is none of the encoding of ${db.url.replace(':postgres@', '@')} (22P05)
hint: use characters that the encoding of the database has, or move it to a database in UTF8
`,
  }
  const isIn = encoding === 'SQL_ASCII'
  for (const args of [
    ['workspaces', 'add', '名前'],
    ['list', '--name', '名前'],
  ])
    expect([args, await run(...args)]).toEqual([args, isIn ? expect.objectContaining({ code: 0 }) : refused])
  expect(await db.query("SELECT 1 FROM workspaces WHERE name NOT IN ('Acme', 'Initech', 'Hooli', 'Zoë')")).toHaveLength(
    isIn ? 1 : 0,
  )
})

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { freshDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder } from '../support/program.ts'
import { commandsWithKeys, populate, readOnlyCommands } from '../support/sample-commands.ts'
import { signingSecret } from '../support/samples.ts'
import { fromPylon, fromSlack, message, slackEvent } from '../support/webhooks.ts'

/** What no column can be taken to hold, as SQL. */
const unreadable = fc.constantFrom(
  "CAST(x'4dfc6c6c6572' AS TEXT)",
  "CAST(x'c3' AS TEXT)",
  "CAST(x'eda080' AS TEXT)",
  "CAST(x'6100ff62' AS TEXT)",
  "x''",
  "x'00ff'",
  'zeroblob(3000000)',
  "CAST(replace(hex(zeroblob(600000)), '00', 'ab') AS TEXT)",
)

/** What cells get, as SQL. */
const garbage = fc.oneof(
  unreadable,
  fc.constantFrom(
    '9223372036854775807',
    '-9223372036854775808',
    '9007199254740993',
    '9e999',
    '-1.5',
    "'infinity'",
    "'-4713-11-24 00:00:00'",
    "'99999-01-01T00:00:00Z'",
    '253402300800000',
    "'[1,2]'",
    "'\u202e\u001b[31m'",
    "''",
    'NULL',
  ),
  fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((bytes) => `CAST(x'${Buffer.from(bytes).toString('hex')}' AS TEXT)`),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => `x'${Buffer.from(bytes).toString('hex')}'`),
)

/** Which cell, by numbers that are taken modulo how many there are. */
const place = { column: fc.nat(), row: fc.nat() }
const cell = fc.record({ ...place, value: garbage })

const commands = [
  ...readOnlyCommands.filter(
    ({ args: [name] }) => !['completion', 'complete', 'help', 'config'].includes(String(name)),
  ),
  ...commandsWithKeys,
  { args: ['config', 'get', 'Acme/support'] },
  { args: ['secrets', 'reveal', 'Acme/support', 'webhook-secret'] },
  { args: ['complete', 'zsh', '--', 'show', 'Acme/'] },
  { args: ['list', '--all', '-o', 'csv'] },
  { args: ['audit', 'list', '--all', '-o', 'jsonl'] },
  { args: ['keys', 'reencrypt'] },
  { args: ['recover', 'Acme/support'] },
  { args: ['update', 'Acme/support', '--slack-team-name', 'Acme'] },
  {
    args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0', '--end-previous'],
    input: signingSecret(9),
  },
]

test('whatever its cells hold, a database neither ends the process nor hides other rows', async () => {
  const filled = await freshDatabase('sqlite')
  await populate(filled)
  // The log is to be spoilt too.
  for (const name of ['no_update', 'no_delete', 'no_replace'])
    await filled.query(`DROP TRIGGER integration_events_${name}`)
  // What copies take is in the file itself.
  await filled.query('PRAGMA wal_checkpoint(TRUNCATE)')
  const cells = await filled.query(`SELECT m.name AS "table", c.name AS "column" FROM sqlite_master m
    JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, 2`)
  const integrations =
    await filled.query(`SELECT i.id, 'integrations ' || i.rowid AS own, 'workspaces ' || w.rowid AS its
    FROM integrations i JOIN workspaces w ON w.id = i.workspace_id ORDER BY i.name`)
  // Whose the database is, and how it keeps secrets, decides how it is read.
  const decisive = (
    await filled.query(
      "SELECT 'integration_settings ' || rowid AS own FROM integration_settings WHERE key IN ('database', 'sealing')",
    )
  ).map(({ own }) => String(own))
  const keys = { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' }
  const allowed = [0, 2, 3, 4, 5, 6, 8]

  await fc.assert(
    fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 6 }), async (spoilt) => {
      const file = join(freshFolder(), 'spoilt.db')
      copyFileSync(filled.url.slice('file:'.length), file)
      const touched = new Set<string>()
      const client = createClient({ url: `file:${file}` })
      await client.execute('PRAGMA foreign_keys = OFF')
      for (const { column, row, value } of spoilt) {
        const { table, column: name } = cells[column % cells.length] ?? {}
        // The rows are not read: some hold garbage by now.
        const { rows } = await client.execute(`SELECT rowid AS n FROM "${table}" ORDER BY 1 LIMIT 1 OFFSET ${row % 3}`)
        const [found] = rows
        if (!found) continue
        // A rule of the table itself may forbid it.
        const set = `UPDATE "${table}" SET "${name}" = ${value} WHERE rowid = ${found.n}`
        const done = await client.execute(set).then(
          () => true,
          () => false,
        )
        if (done) touched.add(String(table)).add(`${table} ${found.n}`)
      }
      client.close()

      const env = { DATABASE_URL: `file:${file}` }
      for (const { args, ...more } of commands) {
        const { code, stderr } = await runInProcess(args, { env, ...more })
        expect({
          args,
          code: allowed.includes(code ?? 1) ? 'documented' : code,
          stderr: allowed.includes(code ?? 1) ? '' : stderr,
        }).toEqual({ args, code: 'documented', stderr: '' })
      }
      if (!touched.has('_prisma_migrations') && !decisive.some((row) => touched.has(row))) {
        const { stdout } = await runInProcess(['list', '--all', '-o', 'id'], { env })
        const rows = await runInProcess(['list', '--all', '-o', 'jsonl'], { env })
        expect(rows.stdout.trim().split('\n').length).toBe(integrations.length)
        const untouched = integrations.filter(({ own, its }) => !touched.has(String(own)) && !touched.has(String(its)))
        expect(stdout.split('\n')).toEqual(expect.arrayContaining(untouched.map(({ id }) => id)))
      }

      const errors: unknown[] = []
      const receiver = await createReceiver({
        database: env.DATABASE_URL,
        keys,
        onError: (error) => errors.push(error.code),
      }).catch((error) => {
        errors.push(error.code)
        return undefined
      })
      if (receiver) {
        const body = slackEvent(message, { team_id: 'T012345' })
        for (const outcome of [
          await receiver.slack(fromSlack(signingSecret(1), body)),
          await receiver.pylon(fromPylon(signingSecret(3), '{}'), { integrationId: String(integrations[0]?.id) }),
        ])
          expect([200, 401, 503]).toContain(outcome.status)
        await receiver.close()
      }
      expect(errors.filter((code) => code === undefined)).toEqual([])
    }),
    { numRuns: Number(process.env.DAMAGE_RUNS ?? 5), endOnFailure: true },
  )
})

test('an authentic webhook is accepted or unavailable, whatever of its rows cannot be read', async () => {
  const filled = await freshDatabase('sqlite')
  await populate(filled)
  await filled.query('PRAGMA wal_checkpoint(TRUNCATE)')
  const cells = await filled.query(`SELECT m.name AS "table", c.name AS "column" FROM sqlite_master m
    JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT IN ('_prisma_migrations', 'integration_events') ORDER BY 1, 2`)
  const [pylon] = await filled.query("SELECT id FROM integrations WHERE platform = 'pylon'")
  await fc.assert(
    fc.asyncProperty(fc.record({ ...place, value: unreadable }), async ({ column, row, value }) => {
      const file = join(freshFolder(), 'spoilt.db')
      copyFileSync(filled.url.slice('file:'.length), file)
      const { table, column: name } = cells[column % cells.length] ?? {}
      const client = createClient({ url: `file:${file}` })
      await client.execute('PRAGMA foreign_keys = OFF')
      const where = `WHERE rowid = (SELECT rowid FROM "${table}" ORDER BY 1 LIMIT 1 OFFSET ${row % 8})`
      await client.execute(`UPDATE "${table}" SET "${name}" = ${value} ${where}`).catch(() => {})
      client.close()
      const told: unknown[] = []
      const receiver = await createReceiver({
        database: `file:${file}`,
        keys: { file: process.env.INTEGRATIONS_TEST_KEYS ?? '' },
        remember: 0,
        onError: (error) => told.push(error),
      }).catch((error) => void told.push(error))
      const event = slackEvent(message, { team_id: 'T012345' })
      const slack = [1, 2].map((n) => () => receiver?.slack(fromSlack(signingSecret(n), event)))
      const desk = () => receiver?.pylon(fromPylon(signingSecret(3), '{}'), { integrationId: String(pylon?.id) })
      for (const send of [...slack, desk]) {
        const outcome = await send()
        const kind = outcome && outcome.kind !== 'event' ? outcome.status : outcome?.kind
        expect({ table, name, row: row % 8, value, kind }).toEqual({
          ...{ table, name, row: row % 8, value },
          kind: receiver ? expect.toBeOneOf(['event', 503]) : undefined,
        })
        if (kind === 503) expect(told).not.toEqual([])
      }
      await receiver?.close()
    }),
    { numRuns: Number(process.env.DAMAGE_RUNS ?? 20), endOnFailure: true },
  )
})

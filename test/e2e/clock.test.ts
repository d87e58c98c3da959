import { describe, expect, test } from 'vitest'
import { instantOf } from '../../src/brands.ts'
import { openKeyring } from '../../src/crypto/keyring.ts'
import { allRows } from '../../src/store/all-rows.ts'
import { type AuditEvent, eventColumns, eventHash } from '../../src/store/audit/events.ts'
import { openStore } from '../../src/store/open.ts'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { storeOptions, testKeys } from '../support/keyring.ts'
import { faketime, runProgram } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { addSlack, revealed, rotate } from '../support/slack-integration.ts'
import { changeNewestEvent, moveGracePeriod, vouchFor } from '../support/state.ts'
import { notes } from '../support/told.ts'

const hours = 3_600_000
const list = ['secrets', 'list', 'support', '-o', 'json', '--fields', 'number,state']

/** An instant so long from now, as both databases take it. */
const at = (distanceMs: number) => new Date(Date.now() + distanceMs).toISOString().replace('Z', '+00:00')

describe.each(kinds)('time, on %s', (kind) => {
  const run = runInProcess
  const yes = kind === 'sqlite' ? 1 : true
  const no = kind === 'sqlite' ? 0 : false

  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    await rotate(env, 2, '--grace', '24h')
    const expire = (distanceMs: number) =>
      db.query('UPDATE integration_secrets SET valid_until = ? WHERE number = 1', at(distanceMs))
    const kept = async () =>
      (await db.query('SELECT sealed IS NOT NULL AS kept FROM integration_secrets WHERE number = 1'))[0]?.kept
    const purges = async () =>
      (await db.query("SELECT count FROM integration_events WHERE action = 'secret.purge' ORDER BY seq")).map(
        ({ count }) => Number(count),
      )
    return { db, env, expire, kept, purges }
  }
  const expired = [
    { number: 2, state: 'current' },
    { number: 1, state: 'expired' },
  ]

  test('a value that has expired is kept for a day, and is not accepted, reverted to or finished', async () => {
    const { db, env, kept, purges } = await start()
    await moveGracePeriod(db, 1, new Date(Date.now() - 1000))
    expect(await run(['disable', 'support'], { env })).toMatchObject({ code: 0 })
    expect([await kept(), await purges()]).toEqual([yes, []])
    expect(JSON.parse((await run(list, { env })).stdout)).toEqual(expired)
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toMatchObject({ code: 3 })
    const store = await openStore(storeOptions(db))
    const [accepted] = await store.read(async (reader) => {
      const [integration] = await reader.integrations.match({ by: 'name', value: 'support' }, 1)
      return (await reader.secrets.valid('webhookSecret', integration ? [integration.id] : [])).stored
    })
    await store.close()
    expect(accepted?.versions.map(({ number }) => number)).toEqual([2])
    expect(await revealed(env)).toBe(signingSecret(2))

    expect(await run(['secrets', 'purge', '-o', 'table'], { env })).toEqual({
      code: 0,
      stdout: 'every expired version is kept for a day; no changes made\n',
      stderr: '1 expired version kept; to delete now: integrations secrets purge --now\n',
    })
    expect([await kept(), await purges()]).toEqual([yes, []])
    const dry = await run(['secrets', 'purge', '--now', '--dry-run', '-o', 'table'], { env })
    expect(dry).toEqual({ code: 0, stdout: 'would delete 1 expired version\n', stderr: '' })
    expect([await kept(), await purges()]).toEqual([yes, []])
    expect(await run(['secrets', 'purge', '--now', '-o', 'json'], { env })).toEqual({
      code: 0,
      stdout: '{\n  "purged": 1,\n  "outcome": "changed"\n}\n',
      stderr: notes('deleted 1 expired version'),
    })
    expect([await kept(), await purges()]).toEqual([no, [1]])
    expect(await run(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
  })

  test('a change destroys what expired a day ago by its clock and by that of the newest event', async () => {
    const { db, env, expire, kept, purges } = await start()
    const change = async () => expect((await run(['toggle', 'support'], { env })).code).toBe(0)
    // The machine of the newest event was ahead.
    await changeNewestEvent(db, 'at', at(72 * hours))
    await expire(-23 * hours)
    await change()
    expect([await kept(), await purges()]).toEqual([yes, []])
    await changeNewestEvent(db, 'at', at(72 * hours))
    await expire(-25 * hours)
    await change()
    expect([await kept(), await purges()]).toEqual([no, [1]])
  })

  test('a clock more than a day ahead of the newest event destroys nothing that was valid then, and the next change does', async () => {
    const { db, env, expire, kept, purges } = await start()
    await changeNewestEvent(db, 'at', at(-25 * hours))
    await expire(-25 * hours)
    expect(await run(['disable', 'support'], { env })).toMatchObject({ code: 0 })
    expect([await kept(), await purges()]).toEqual([yes, []])
    // Back on the right clock the secret is valid, as lists and the program say.
    await moveGracePeriod(db, 1, new Date(Date.now() + 23 * hours))
    expect(JSON.parse((await run(list, { env })).stdout)[1]).toEqual({ number: 1, state: 'previous' })
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toMatchObject({ code: 0 })
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toMatchObject({ code: 0 })

    await expire(-25 * hours)
    await changeNewestEvent(db, 'at', at(-23 * hours))
    await run(['enable', 'support'], { env })
    expect([await kept(), await purges()]).toEqual([yes, []])
    await run(['disable', 'support'], { env })
    expect([await kept(), await purges()]).toEqual([no, [1]])
  })

  test('changes made once a week, and purges of a database without changes, destroy what expired', async () => {
    const { db, env, expire, kept, purges } = await start()
    await changeNewestEvent(db, 'at', at(-168 * hours))
    await expire(-140 * hours)
    const purge = ['secrets', 'purge', '-o', 'table']
    const waits = 'expired versions are kept until the audit log has an event a day after their expiry'
    const stderr = '1 expired version kept; to delete now: integrations secrets purge --now\n'
    expect(await run([...purge, '--dry-run'], { env })).toEqual({
      code: 0,
      stdout: `${waits}; no changes made\n`,
      stderr,
    })
    expect([await kept(), await purges()]).toEqual([yes, []])
    expect(await run(purge, { env })).toEqual({ code: 0, stdout: `${waits}; this purge is that event\n`, stderr })
    expect([await kept(), await purges()]).toEqual([yes, [0]])
    expect(await run(purge, { env })).toEqual({ code: 0, stdout: 'deleted 1 expired version\n', stderr: '' })
    expect([await kept(), await purges()]).toEqual([no, [0, 1]])

    await rotate(env, 3, '--grace', '24h')
    await db.query('UPDATE integration_secrets SET valid_until = ? WHERE number = 2', at(-193 * hours))
    await changeNewestEvent(db, 'at', at(-168 * hours))
    await run(['toggle', 'support'], { env })
    expect(await purges()).toEqual([0, 1, 1])
  })

  test('a version whose value is gone is expired, whatever its date says', async () => {
    const { db, env } = await start()
    await db.query('UPDATE integration_secrets SET sealed = NULL, key_id = NULL WHERE number = 1')
    expect(JSON.parse((await run(list, { env })).stdout)).toEqual(expired)
    const { previousValidUntil } = JSON.parse(
      (await run(['show', 'support', '-o', 'json'], { env })).stdout,
    ).webhookSecret
    expect(previousValidUntil).toBe(null)
    const before = await db.query('SELECT * FROM integration_events')
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: Acme/support has no previous signing secret that is still valid
hint: integrations secrets list support\n`,
    })
    expect(await db.query('SELECT * FROM integration_events')).toEqual(before)
  })

  test('audit verify tells of a day that runs backwards, and not of a correction by seconds', async () => {
    const { db, env } = await start()
    const keys = testKeys()
    const store = await openStore(storeOptions(db))
    const known = await store.read((reader) => reader.keys.list())
    const keyring = openKeyring(keys, known, 'the test keys')
    /** Appends a copy of the last event that is dated so much later. */
    const append = async (distanceMs: number) => {
      const [last, head] = await store.read(async (reader) => {
        const [one] = await allRows(reader.audit.list({}, { sort: 'seq', descending: true, limit: 1 }))
        if (!one) throw new Error('the log is empty')
        return [one, await reader.audit.head()] as const
      })
      const dated = instantOf(Date.parse(last.at) + distanceMs)
      const event: AuditEvent = { ...last, seq: String(head.seq + 1n), at: dated }
      const hash = eventHash(keyring, head.hash, event)
      const columns = Object.values(eventColumns)
      const cast = { seq: '?', at: kind === 'sqlite' ? '?' : 'CAST(? AS timestamp)', previous_hash: '?', hash: '?' }
      await db.query(
        `INSERT INTO integration_events (${columns.join(', ')})
          SELECT ${columns.map((column) => cast[column as 'at'] ?? column).join(', ')}
          FROM integration_events ORDER BY seq DESC LIMIT 1`,
        Number(event.seq),
        dated.replace('Z', kind === 'sqlite' ? '+00:00' : ''),
        head.hash,
        hash,
      )
      await db.query("UPDATE integration_settings SET seq = ?, value = ? WHERE key = 'head'", Number(event.seq), hash)
      await vouchFor(db)
      return { seq: Number(event.seq), at: dated, previousAt: last.at }
    }
    await append(-2000)
    const verify = ['audit', 'verify', '-o', 'json', '--fields', 'ok,clockSteps']
    expect(await run(verify, { env })).toEqual({
      code: 0,
      stdout: '{\n  "ok": true,\n  "clockSteps": []\n}\n',
      stderr: '',
    })
    const step = await append(-48 * hours)
    await store.close()
    expect(JSON.parse((await run(verify, { env })).stdout)).toEqual({ ok: true, clockSteps: [step] })
    expect(await run(['audit', 'verify', '-o', 'table'], { env })).toEqual({
      code: 0,
      stdout: expect.stringContaining(
        `\nevent ${step.seq}: dated ${step.at}, before the previous event (${step.previousAt}): a clock was wrong\n`,
      ),
      stderr: '',
    })
  })
})

// The whole machine's clock, which SQLite reads too.
test.runIf(faketime)('two days ahead for one change, no secret is lost, and audit verify tells', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await addSlack(env)
  await rotate(env, 2, '--grace', '24h')
  const ahead = { ...env, LD_PRELOAD: String(faketime), FAKETIME: '+2d' }
  expect(await runProgram(['disable', 'support'], { env: ahead })).toMatchObject({ code: 0 })
  await runInProcess(['enable', 'support'], { env })
  expect(await runProgram(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toMatchObject({ code: 0 })
  const { code, stdout } = await runProgram(['audit', 'verify', '-o', 'json'], { env })
  expect({ code, steps: JSON.parse(stdout).clockSteps.length }).toEqual({ code: 0, steps: 1 })
})

import { describe, expect, test } from 'vitest'
import { instantOf } from '../../src/brands.ts'
import type { ReceiverReport } from '../../src/store/activity/receivers.ts'
import { kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { add, brief, rotate, start } from '../support/receiver.ts'
import { at, put, signed } from '../support/receiver-reports.ts'
import { signingSecret } from '../support/samples.ts'
import { fromSlack, message, slackEvent } from '../support/webhooks.ts'

const day = 86_400_000

/** A request for an integration of a team. */
const sent = (team: string, secret: string) => fromSlack(secret, slackEvent(message, { team_id: team }))

const row = async (db: TestDatabase) => {
  const [{ id, report, mac } = {}] = await db.query('SELECT id, report, mac FROM integration_receivers')
  return { id: String(id), report: String(report), mac: String(mac) }
}

describe.each(kinds)('what lets secrets finish go on, on %s', (kind) => {
  const finishing =
    (db: TestDatabase) =>
    (name: string, ...flags: string[]) =>
      runInProcess(['secrets', 'finish', name, 'webhook-secret', '-o', 'id', ...flags], {
        env: { DATABASE_URL: db.url },
      })

  const refused = (message: string | RegExp) => ({
    code: 5,
    stdout: '',
    stderr:
      typeof message === 'string'
        ? `error: ${message}\nhint: check integrations secrets list support, or pass --force\n`
        : expect.stringMatching(message),
  })
  const nobody = refused('no receiver reports, so use of the previous signing secret is unknown')
  const forged = refused(
    'a row of integration_receivers is not that of a receiver of this database, so use of the previous signing secret is unknown',
  )
  const silent = refused(
    /^error: a receiver has not reported since \S+Z, so use of the previous signing secret is unknown\nhint: wait until \S+Z, or pass --force\n$/,
  )

  test('is not what somebody without keys writes', async () => {
    const { db, store } = await start(kind)
    const id = await add(store, 'support', signingSecret(1))
    await rotate(store, id, signingSecret(2), day)
    const finish = finishing(db)
    const before = await db.query('SELECT seq FROM integration_events')
    // A stuck receiver leaves the same behind: use of the new secret, and none of the old one.
    await db.query('UPDATE integration_secrets SET last_matched_at = ?, match_count = 7 WHERE number = 2', at(-1000))
    await db.query("INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver', '', ?)", at(-1000))
    await db.query(
      "INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver 0 0', '', ?)",
      at(-1000),
    )
    expect(await finish('support')).toEqual(silent)
    await db.query("DELETE FROM integration_settings WHERE key LIKE 'receiver%'")
    expect(await finish('support')).toEqual(nobody)
    const [{ fingerprint } = {}] = await db.query('SELECT fingerprint FROM integration_secrets WHERE number = 2')
    const report = {
      at: instantOf(Date.now()),
      since: instantOf(Date.now() - day),
      remember: 0,
      stale: 0,
      current: [[id, fingerprint, instantOf(Date.now())]],
      previous: [],
    }
    await put(db, { id: 'x', report: JSON.stringify(report), mac: 'f'.repeat(64) })
    expect(await finish('support')).toEqual(forged)
    expect(await db.query('SELECT seq FROM integration_events')).toEqual(before)
    // Nor do such rows stop who says so, or a rotation, however long they are.
    for (const n of [1, 2, 3, 4, 5, 6]) await put(db, { id: `long ${n}`, report: 'x'.repeat(900_000), mac: 'x' })
    for (const n of [1, 2, 3, 4, 5, 6])
      await db.query(
        kind === 'sqlite'
          ? `INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver${n}' || replace(hex(zeroblob(450000)), '00', 'xx'), '', ?)`
          : `INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver${n}' || repeat('x', 900), '', ?)`,
        at(0),
      )
    expect(await finish('support')).toEqual(forged)
    expect(await finish('support', '--force')).toMatchObject({ code: 0 })
    const rotation = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0']
    expect(await runInProcess(rotation, { env: { DATABASE_URL: db.url }, input: signingSecret(3) })).toMatchObject({
      code: 0,
    })
  })

  test('is the report of each receiver that runs', async () => {
    const { db, store, receive, errors } = await start(kind)
    const support = await add(store, 'support', signingSecret(1))
    const ops = await add(store, 'ops', signingSecret(3), { team: 'T0OPS' })
    const receiver = await receive()
    await rotate(store, support, signingSecret(2), day)
    await rotate(store, ops, signingSecret(4), day)
    const finish = finishing(db)
    expect(await finish('support')).toEqual(
      refused(
        'no running receiver has seen a request with the current signing secret, so the previous signing secret may still be in use',
      ),
    )
    const send = async (team: string, n: number) => brief(await receiver.slack(sent(team, signingSecret(n))))
    expect(await send('T012AB3CD', 2)).toEqual(['support', 'message', 2, 'current'])
    expect(await send('T0OPS', 4)).toEqual(['ops', 'message', 2, 'current'])
    expect(await send('T0OPS', 3)).toEqual(['ops', 'message', 1, 'previous'])
    await receiver.flush()
    await db.query('UPDATE integration_secrets SET last_matched_at = NULL')
    // The use of the old secret is in the report, whatever is recorded.
    expect(await finish('ops')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/^error: the previous signing secret matched a request at \S+Z\n/),
    })
    // A receiver that has begun since the rotation knows nothing of the time before.
    const younger = await receive()
    expect(await finish('support')).toEqual(
      refused(
        /^error: a receiver reports use only since \S+Z, so earlier use of the previous signing secret is unknown\nhint: wait until \S+Z, or pass --force\n$/,
      ),
    )
    expect(await finish('support', '--when-unused', '0', '--dry-run')).toMatchObject({ code: 0 })
    await younger.close()
    expect(await finish('support')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('receivers refuse it within 0 s; within 300 s at a receiver that cannot reach'),
    })
    expect(await send('T012AB3CD', 1)).toEqual([401, 'signature_mismatch'])
    expect(await send('T012AB3CD', 2)).toEqual(['support', 'message', 2, 'current'])
    expect(errors).toEqual([])
  })

  test('is no report that was copied, changed, kept or removed', async () => {
    const { db, store, receive } = await start(kind)
    const support = await add(store, 'support', signingSecret(1))
    const receiver = await receive()
    await rotate(store, support, signingSecret(2), day)
    expect(brief(await receiver.slack(sent('T012AB3CD', signingSecret(2))))).toEqual([
      'support',
      'message',
      2,
      'current',
    ])
    await receiver.flush()
    const real = await row(db)
    await receiver.close()
    const report = JSON.parse(real.report) as ReceiverReport
    // Two databases may share their keys.
    const foreign = await signed(db, { ...report, id: real.id }, 'another database')
    const finish = finishing(db)
    const before = await db.query('SELECT seq FROM integration_events')
    const attempt = async (...rows: (typeof real)[]) => {
      await db.query('DELETE FROM integration_receivers')
      for (const one of rows) await put(db, one)
      return finish('support')
    }
    expect(await attempt()).toEqual(nobody)
    expect(await attempt({ ...real, id: 'another receiver' })).toEqual(forged)
    expect(await attempt({ ...real, report: real.report.replace('"previous":[', '"previous":[ ') })).toEqual(forged)
    expect(await attempt({ ...real, mac: '' })).toEqual(forged)
    expect(await attempt(foreign)).toEqual(forged)
    expect(await attempt(real, { ...foreign, id: 'another receiver' })).toEqual(forged)

    // A receiver that was cut off three minutes ago, alone and beside one that works.
    await db.query('DELETE FROM integration_receivers')
    const putAt = async (id: string, ms: number) =>
      put(db, await signed(db, { ...report, id, at: instantOf(Date.now() + ms) }))
    await putAt('cut off', -180_000)
    expect(await finish('support')).toEqual(silent)
    await putAt(real.id, 0)
    expect(await finish('support')).toEqual(silent)
    expect(await db.query('SELECT seq FROM integration_events')).toEqual(before)
    await db.query("DELETE FROM integration_receivers WHERE id = 'cut off'")
    await putAt(real.id, 0)
    expect(await finish('support')).toMatchObject({ code: 0 })
  })

  test('is not told from forged limits either', async () => {
    const { db, store, receive } = await start(kind, 5)
    await add(store, 'support', signingSecret(1))
    await receive()
    const rotated = async () =>
      (
        await runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--dry-run'], {
          env: { DATABASE_URL: db.url },
          input: signingSecret(2),
        })
      ).stderr
    expect(await rotated()).toContain('would be refused within 5 s; within 300 s at a receiver')
    await db.query(`UPDATE integration_receivers SET report = replace(report, '"remember":5', '"remember":0')`)
    expect(await rotated()).toContain(
      'would be refused from now on; receivers may take longer, and a row of integration_receivers is not that of a receiver of this database\n',
    )
  })
})

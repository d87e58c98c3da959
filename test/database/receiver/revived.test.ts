import { describe, expect, test } from 'vitest'
import { finishSecret } from '../../../src/operations/secrets/finish.ts'
import { revertSecret } from '../../../src/operations/secrets/history.ts'
import { kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { add, brief, rotate, start } from '../../support/receiver.ts'
import { signingSecret } from '../../support/samples.ts'
import { fromSlack } from '../../support/webhooks.ts'

const hour = 3_600_000

/** What a writer of the database without keys does to have a receiver accept the first of two secrets. */
const attacks: Record<string, (db: TestDatabase, before: Record<string, string>) => Promise<unknown>> = {
  'the row that was there, put back after finish': (db, { sealed, key_id, valid_until }) =>
    db.query(
      'UPDATE integration_secrets SET sealed = ?, key_id = ?, valid_until = ? WHERE number = 1',
      String(sealed),
      String(key_id),
      String(valid_until),
    ),
  'with a later end': (db, { sealed, key_id }) =>
    db.query(
      "UPDATE integration_secrets SET sealed = ?, key_id = ?, valid_until = '2099-01-01 00:00:00' WHERE number = 1",
      String(sealed),
      String(key_id),
    ),
  'as a version of another number': (db, { sealed, key_id, valid_until }) =>
    db.query(
      `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, sealed, origin, set_at, valid_until)
        SELECT integration_id, field, 7, fingerprint, ?, ?, origin, set_at, ? FROM integration_secrets WHERE number = 1`,
      String(key_id),
      String(sealed),
      String(valid_until),
    ),
  'what the column held before, as a previous value': (db, { current, key_id, valid_until }) =>
    db.query(
      'UPDATE integration_secrets SET sealed = ?, key_id = ?, valid_until = ? WHERE number = 1',
      String(current),
      String(key_id),
      String(valid_until),
    ),
  'the previous value in the column': (db, { sealed }) =>
    db.query('UPDATE integrations SET webhook_secret = ?', String(sealed)),
  'what the column held before, in the column, with its version': async (db, { current, fingerprint }) => {
    await db.query('UPDATE integrations SET webhook_secret = ?', String(current))
    await db.query('UPDATE integration_secrets SET fingerprint = ? WHERE number = 2', String(fingerprint))
  },
}

describe.each(kinds)('on %s, a secret that was finished is not accepted again', (kind) => {
  const prepare = async () => {
    const started = await start(kind)
    const { db, store } = started
    const id = await add(store, 'support', signingSecret(1))
    const [{ current } = {}] = await db.query('SELECT webhook_secret AS current FROM integrations')
    await rotate(store, id, signingSecret(2), hour)
    const until = kind === 'sqlite' ? 'valid_until' : 'valid_until::text AS valid_until'
    const [row] = await db.query(
      `SELECT sealed, key_id, fingerprint, ${until} FROM integration_secrets WHERE number = 1`,
    )
    const receiver = await started.receive()
    expect(brief(await receiver.slack(fromSlack(signingSecret(1))))).toMatchObject([
      'support',
      'message',
      1,
      'previous',
    ])
    await receiver.close()
    await finishSecret(store, id, { field: 'webhookSecret', whenUnused: 0, force: true })
    return { ...started, id, before: { ...row, current } as Record<string, string> }
  }

  test.each(Object.entries(attacks))('%s', async (_, attack) => {
    const { db, store, id, before, receive, errors } = await prepare()
    await attack(db, before)
    const receiver = await receive()
    const { kind: outcome } = await receiver.slack(fromSlack(signingSecret(1)))
    expect([outcome, errors[0]]).toMatchObject(['rejected', { code: 'DECRYPTION_FAILED' }])
    await expect(revertSecret(store, id, { field: 'webhookSecret' })).rejects.toThrow()
    // Nor is it after changes of the integration, and what encrypts values once more.
    const run = (...args: string[]) => runInProcess(args, { env: { DATABASE_URL: db.url } })
    for (const change of ['disable', 'enable']) expect(await run(change, id)).toMatchObject({ code: 0 })
    await run('keys', 'activate', (await run('keys', 'add', '-o', 'id')).stdout.trim())
    await run('keys', 'reencrypt')
    const later = await receive()
    expect((await later.slack(fromSlack(signingSecret(1)))).kind).toBe('rejected')
    expect(await run('audit', 'verify')).toMatchObject({ code: 8 })
  })
})

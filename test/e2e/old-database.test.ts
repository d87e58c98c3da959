import { expect, test } from 'vitest'
import { fingerprint } from '../../src/crypto/hmac.ts'
import { encrypt } from '../../src/crypto/jwe.ts'
import { headerOf } from '../../src/crypto/jwe-format.ts'
import { keyFor } from '../../src/crypto/key-set.ts'
import { disableRevoked } from '../../src/operations/integrations/set-active.ts'
import { recordExternalChanges } from '../../src/operations/secrets/history.ts'
import { Secret } from '../../src/secret.ts'
import { openStore } from '../../src/store/open.ts'
import { integrationId } from '../support/brands.ts'
import { kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { storeOptions, testKeys } from '../support/keyring.ts'
import { oldDatabase } from '../support/old-database.ts'
import { bin, runCommand } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'

const secrets = {
  'Acme/support': ['fedcba9876543210', 'fedcba98765432de'].join(''),
  'Vandelay Industries/tickets': 'pylon-second-dev-0123456789',
  'Initech/repositories': 'github-third-dev-0123456789',
}

/** The encryption keys that other ones took the place of. */
const firstKeys = { sqlite: 'seal-e2c45d3c9be6', postgresql: 'seal-d4c8e473d4c8' }

/** Signs with the previous secret of Acme/support. */
const sign = (env: Record<string, string>) =>
  runInProcess(['webhook', 'sign', 'Acme/support', '--body-file', '-', '--secret', 'previous', '-o', 'json'], {
    env,
    input: '{}',
  })
const bound =
  'grace periods from before the upgrade go on; receivers of the version before refuse previous secrets from now on: upgrade them\n'

test.each(kinds)('a database that version 0.1.0 made on %s is migrated, and used', async (kind) => {
  const { db, keys } = await oldDatabase(kind)
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
  const run = (...args: string[]) => runInProcess(args, { env })
  // Its grace periods ended long ago. They are open again, as in a database that is migrated within one.
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().replace('T', ' ').replace('Z', '')
  await db.query('UPDATE integration_secrets SET valid_until = ? WHERE sealed IS NOT NULL', tomorrow)
  const ids = async (...args: string[]) => (await run(...args, '-o', 'id')).stdout.trim().split('\n')

  expect(await run('audit', 'verify')).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('integrations db migrate'),
  })
  expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
  expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
  expect(await run('db', 'status', '-o', 'json')).toMatchObject({ code: 0, stdout: expect.stringMatching(/"ready"/) })
  expect(JSON.parse((await run('list', '-o', 'json', '--fields', 'workspace,name,platform,isActive')).stdout)).toEqual([
    { workspace: 'Acme', name: 'support', platform: 'slack', isActive: true },
    { workspace: 'Initech', name: 'repositories', platform: 'github', isActive: false },
    { workspace: 'Vandelay Industries', name: 'tickets', platform: 'pylon', isActive: true },
  ])
  for (const [ref, secret] of Object.entries(secrets))
    expect(await run('secrets', 'reveal', ref, 'webhook-secret')).toEqual({
      code: 0,
      stdout: `${secret}\n`,
      stderr: '',
    })

  // Its previous values are accepted as they are, until the first change has them say which they are.
  const kept = () => db.query('SELECT number, sealed FROM integration_secrets WHERE sealed IS NOT NULL')
  const numbers = async () => (await kept()).map(({ sealed }) => headerOf(String(sealed))?.previous?.number)
  expect(await sign(env)).toMatchObject({ code: 0, stderr: '' })
  expect(await numbers()).toEqual([undefined, undefined])
  expect(await run('toggle', 'Initech/repositories')).toEqual({
    code: 0,
    stdout: expect.any(String),
    stderr: `${bound}changed Initech/repositories: isActive false -> true\n`,
  })
  expect(await numbers()).toEqual((await kept()).map(({ number }) => Number(number)))
  expect(await sign(env)).toMatchObject({ code: 0, stderr: '' })

  // Its events are found by what they were called then, and by the name that the integration had.
  expect(await ids('audit', 'list', '--action', 'secret.rotate')).toEqual(['17', '11', '10'])
  expect(await ids('audit', 'list', '--ref', 'Initech/repos')).toEqual(['30', '28', '19', '17', '14', '12', '9'])

  // Its keys go on, and go out of use.
  expect(await run('keys', 'reencrypt')).toMatchObject({ code: 0 })
  expect(await run('keys', 'retire', firstKeys[kind], '--confirm', firstKeys[kind])).toMatchObject({ code: 0 })
  expect(await run('keys', 'status')).toMatchObject({ code: 0 })
  expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
})

test.each(kinds)('a previous value of an old database on %s is accepted only as the log says', async (kind) => {
  const { db, keys } = await oldDatabase(kind)
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
  const run = (...args: string[]) => runInProcess(args, { env })
  const verdict = async () => /"code":"(\w+)"/.exec((await sign(env)).stderr)?.[1] ?? 'accepted'
  const setEnd = (end: string) =>
    db.query('UPDATE integration_secrets SET valid_until = ? WHERE sealed IS NOT NULL', `${end}-01-01 00:00:00`)
  const head = async () => String((await db.query("SELECT mac FROM integration_settings WHERE key = 'head'"))[0]?.mac)
  const setHead = (mac: string) => db.query("UPDATE integration_settings SET mac = ? WHERE key = 'head'", mac)
  await setEnd('2099')
  const [old] = await db.query('SELECT integration_id, sealed FROM integration_secrets WHERE sealed IS NOT NULL')
  expect(await run('db', 'migrate')).toMatchObject({ code: 0 })

  const recorded = await head()
  for (const mac of [recorded.replace(/^.*:/, ''), `x${recorded}`]) {
    await setHead(mac)
    expect(await verdict()).toBe('DATABASE_TAMPERED')
  }
  await setHead(recorded)
  expect(await verdict()).toBe('accepted')
  await setEnd('2098')
  expect(await verdict()).toBe('DECRYPTION_FAILED')
  expect(await run('audit', 'verify')).toMatchObject({ code: 8 })
  // What the first change binds is what the row says, and the log still says something else.
  expect(await run('toggle', 'Acme/support')).toMatchObject({ code: 0 })
  expect(await verdict()).toBe('DECRYPTION_FAILED')
  expect(await run('audit', 'verify')).toMatchObject({ code: 8 })

  // From then on, no value in the old form is one.
  await db.query(
    'UPDATE integration_secrets SET sealed = ? WHERE integration_id = ? AND sealed IS NOT NULL',
    String(old?.sealed),
    String(old?.integration_id),
  )
  await setEnd('2099')
  expect(await verdict()).toBe('DECRYPTION_FAILED')
  await setHead(`recorded:${await head()}`)
  expect(await verdict()).toBe('DATABASE_TAMPERED')
})

test.each(kinds)('what a receiver records by itself in an old database on %s binds no previous value', async (kind) => {
  const { db, keys } = await oldDatabase(kind)
  const run = (...args: string[]) => runInProcess(args, { env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys } })
  await db.query("UPDATE integration_secrets SET valid_until = '2099-01-01 00:00:00' WHERE sealed IS NOT NULL")
  expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
  const kept = () => db.query('SELECT integration_id, number, sealed FROM integration_secrets WHERE sealed IS NOT NULL')
  const before = await kept()
  const [{ id } = {}] = await db.query("SELECT id FROM integrations WHERE name = 'support'")
  // As of a value that was not read yet.
  await db.query(
    'UPDATE integration_secrets SET fingerprint = NULL WHERE integration_id = ? AND valid_until IS NULL',
    String(id),
  )
  const store = await openStore(storeOptions(db, keys))
  await recordExternalChanges(store, integrationId(String(id)), ['webhookSecret'])
  await disableRevoked(store, String(id), null)
  await store.close()
  expect(
    (await db.query('SELECT action FROM integration_events ORDER BY seq DESC LIMIT 2')).map(({ action }) => action),
  ).toEqual(['integration.disable', 'secret.external_change'])
  expect(await kept()).toEqual(before)
  expect(await run('enable', 'Acme/support')).toMatchObject({ code: 0, stderr: expect.stringContaining(bound) })
})

test.each(kinds)(
  'an older secret in the place of the accepted one of an old database on %s stays out',
  async (kind) => {
    const { db, keys } = await oldDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
    const run = (...args: string[]) => runInProcess(args, { env })
    await db.query("UPDATE integration_secrets SET valid_until = '2099-01-01 00:00:00' WHERE sealed IS NOT NULL")
    expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
    const set = testKeys(keys)
    const [{ id } = {}] = await db.query("SELECT id FROM integrations WHERE name = 'support'")
    const [encryptionKey, fingerprintKey] = [keyFor(set, 'encryption'), keyFor(set, 'fingerprint')]
    if (!encryptionKey || !fingerprintKey) throw new Error('the key set of the old database lacks a key')
    const leaked = new Secret(signingSecret(9))
    // As a backup from when it was accepted has it.
    const sealed = encrypt(encryptionKey, { id: String(id), field: 'webhook_secret' }, leaked)
    await db.query(
      "UPDATE integration_secrets SET sealed = ?, fingerprint = ? WHERE integration_id = ? AND field = 'webhook_secret' AND sealed IS NOT NULL",
      sealed,
      fingerprint(fingerprintKey, leaked),
      String(id),
    )
    const held = () =>
      db.query(
        'SELECT i.webhook_secret, s.sealed FROM integrations i JOIN integration_secrets s ON s.integration_id = i.id WHERE i.id = ? AND s.sealed IS NOT NULL',
        String(id),
      )
    const before = await held()
    expect(before).toMatchObject([{ sealed }])
    expect(await run('secrets', 'revert', 'Acme/support', 'webhook-secret')).toMatchObject({ code: 6, stdout: '' })
    expect(await run('toggle', 'Initech/repositories')).toMatchObject({ code: 0 })
    expect(await run('secrets', 'revert', 'Acme/support', 'webhook-secret')).toMatchObject({ code: 6, stdout: '' })
    expect(await held()).toEqual(before)
  },
)

test.each(kinds)(
  'the head row of an old database on %s goes without a MAC until this version moves it',
  async (kind) => {
    const { db, keys } = await oldDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
    const run = (...args: string[]) => runInProcess(args, { env })
    const [old] = await db.query("SELECT seq, value FROM integration_settings WHERE key = 'head'")
    const end = Number(old?.seq)
    const setHead = (seq: number, value: unknown) =>
      db.query("UPDATE integration_settings SET seq = ?, value = ?, mac = NULL WHERE key = 'head'", seq, String(value))
    const junk = (seq: number, hash: string) =>
      db.query(
        `INSERT INTO integration_events (seq, at, request_id, action, outcome, target_type, os_user, host, pid, program_version, previous_hash, hash, format)
      SELECT ?, at, request_id, action, outcome, target_type, os_user, host, pid, program_version, previous_hash, ?, 2 FROM integration_events WHERE seq = 1`,
        seq,
        hash,
      )
    const remove = async (condition: string) => {
      if (kind === 'postgresql') await db.query('ALTER TABLE integration_events DISABLE TRIGGER USER')
      else await db.query('DROP TRIGGER IF EXISTS integration_events_no_delete')
      await db.query(`DELETE FROM integration_events WHERE ${condition}`)
    }
    expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
    const refused = { code: 6, stderr: expect.stringContaining('changed the encryption mode, the keys or the end') }

    // It was moved, as the events of this version tell, whatever stands among them.
    const [{ hash: first } = {}] = await db.query('SELECT hash FROM integration_events WHERE seq = 1')
    await junk(1000, 'x')
    for (const [seq, hash] of [
      [end, old?.value],
      [1, first],
      [0, ''],
      [1000, 'x'],
    ] as const) {
      await setHead(seq, hash)
      expect([seq, await run('toggle', 'Initech/repositories')]).toMatchObject([seq, refused])
      expect([seq, await run('audit', 'verify')]).toMatchObject([seq, { code: 8 }])
    }

    // Without these, only as far as the log of the version before goes.
    await remove(`format IS NOT NULL AND seq < 1000`)
    await setHead(1000, 'x')
    expect(await run('toggle', 'Initech/repositories')).toMatchObject(refused)
    await setHead(end, old?.value)
    expect(await run('toggle', 'Initech/repositories')).toMatchObject({ code: 0 })
    expect(await run('toggle', 'Initech/repositories')).toMatchObject({ code: 0 })
  },
)

test.each(kinds)(
  'previous values of an old database that are too long to be read at once, on %s, are migrated',
  async (kind) => {
    const { db, keys } = await oldDatabase(kind)
    const run = (...args: string[]) =>
      runInProcess(args, { env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys } })
    await db.query("UPDATE integration_secrets SET valid_until = '2099-01-01 00:00:00' WHERE sealed IS NOT NULL")
    const [{ n: held } = {}] = await db.query('SELECT count(*) AS n FROM integration_secrets WHERE sealed IS NOT NULL')
    for (let n = 100; n < 120; n++)
      await db.query(
        `INSERT INTO integration_secrets (integration_id, field, number, sealed, origin, set_at, valid_until)
        SELECT min(integration_id), 'webhook_secret', ?, ?, 'provided', min(set_at), '2099-01-01 00:00:00' FROM integration_secrets`,
        n,
        'x'.repeat(300_000),
      )
    expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
    expect(await run('toggle', 'Acme/support')).toMatchObject({ code: 0 })
    const sealed = await db.query("SELECT sealed FROM integration_secrets WHERE sealed LIKE 'eyJ%'")
    const bound = sealed.filter((row) => headerOf(String(row.sealed))?.previous)
    expect([bound.length, sealed.length]).toEqual([Number(held), Number(held)])
  },
)

test.each(kinds)('a secret of an old database on %s that cannot be read stops no change of another', async (kind) => {
  const { db, keys } = await oldDatabase(kind)
  const env = {
    DATABASE_URL: db.url,
    INTEGRATIONS_KEYS_FILE: keys,
    SECRET: ['0f1e2d3c4b5a6978', '1a2b3c4d5e6f7081'].join(''),
  }
  const run = (...args: string[]) => runInProcess(args, { env })
  await db.query(
    `UPDATE integration_secrets SET set_at = 'infinity'
    WHERE sealed IS NOT NULL AND integration_id = (SELECT id FROM integrations WHERE name = 'support')`,
  )
  expect(await run('db', 'migrate')).toMatchObject({ code: 0 })
  expect(await run('toggle', 'Initech/repositories')).toMatchObject({ code: 0 })
  expect(await run('toggle', 'Acme/support')).toMatchObject({ code: 6 })
  const rotate = ['rotate', 'Acme/support', '--webhook-secret-env', 'SECRET', '--grace', '0', '--end-previous']
  expect(await run(...rotate)).toMatchObject({ code: 0 })
  expect(await run('toggle', 'Acme/support')).toMatchObject({ code: 0 })
  expect(await run('audit', 'verify')).toMatchObject({ code: 0 })
})

test('an old database that is migrated, and the answer to that not written, says that it was changed', async () => {
  const { db, keys } = await oldDatabase('sqlite')
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: keys }
  expect(
    await runCommand('sh', ['-c', `exec ${process.execPath} ${bin} db migrate > /dev/full`], { env }),
  ).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('error: the change was made, but the answer could not be written\n'),
  })
})

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Fingerprint, type IntegrationId, instantOf } from '../../src/brands.ts'
import type { ReceiverReport, ReportedMatch } from '../../src/store/activity/receivers.ts'
import { begin, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, freshFolder, quote, runCommand, runProgram } from '../support/program.ts'
import { at, put, signed } from '../support/receiver-reports.ts'
import { botToken, refreshToken, signingSecret, stable } from '../support/samples.ts'
import { addSlack, revealed, rotate } from '../support/slack-integration.ts'
import { turnEncryptionOff } from '../support/state.ts'
import { notes } from '../support/told.ts'

const hour = 3_600_000

/** An instant so long ago, as reports have it. */
const ago = (ms: number) => instantOf(Date.now() - ms)

async function start(kind: (typeof kinds)[number]) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url }
  return { db, env, id: await addSlack(env) }
}

/** Everything that is kept of secrets, values as they are stored. */
const kept = async (db: TestDatabase) =>
  JSON.stringify([
    await db.query('SELECT id, webhook_secret, access_token, refresh_token FROM integrations ORDER BY id'),
    await db.query(
      `SELECT integration_id, field, number, fingerprint, sealed, origin, CAST(valid_until AS TEXT) AS valid_until
        FROM integration_secrets ORDER BY integration_id, field, number`,
    ),
  ])

const versions = (db: TestDatabase, field = 'webhook_secret') =>
  db.query(
    `SELECT number, origin, valid_until IS NULL AS is_current, sealed IS NOT NULL AS is_kept
      FROM integration_secrets WHERE field = ? ORDER BY integration_id, number`,
    field,
  )

const events = (db: TestDatabase) =>
  db.query('SELECT action, outcome, target_name, fields FROM integration_events ORDER BY seq')

const shown = async (env: Record<string, string>, ...args: string[]) =>
  JSON.parse((await runInProcess([...args, '-o', 'json'], { env })).stdout)

describe.each(kinds)('secrets on %s', (kind) => {
  const run = runInProcess

  const yes = kind === 'sqlite' ? 1 : true
  const no = kind === 'sqlite' ? 0 : false

  test('list tells for every version until when it is valid and who used it, without any key', async () => {
    const { db, env } = await start(kind)
    await rotate(env, 2, '--grace', '0')
    await rotate(env, 3, '--grace', '24h', '--as', 'ana')
    await db.query(
      'UPDATE integration_secrets SET last_matched_at = ?, match_count = 41 WHERE number = 2',
      at(-180_000),
    )
    const keyless = { ...env, INTEGRATIONS_KEYS_FILE: `${freshFolder()}/none.json` }

    const facts = await shown(keyless, 'secrets', 'list', 'support')
    expect(facts).toEqual(
      [
        { number: 3, state: 'current', setBy: 'as:ana', validUntil: null, lastMatchedAt: null, matchCount: 0 },
        {
          number: 2,
          state: 'previous',
          setBy: expect.stringMatching(/^os:/),
          validUntil: expect.any(String),
          lastMatchedAt: expect.any(String),
          matchCount: 41,
        },
        {
          number: 1,
          state: 'expired',
          setBy: expect.stringMatching(/^os:/),
          validUntil: expect.any(String),
          lastMatchedAt: null,
          matchCount: 0,
        },
      ].map((version) => ({
        field: 'webhook-secret',
        origin: 'provided',
        setAt: expect.any(String),
        fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
        tokenExpiresAt: null,
        tokenExpiry: null,
        revocation: null,
        ...version,
      })),
    )
    expect(new Set(facts.map(({ fingerprint }: { fingerprint: string }) => fingerprint)).size).toBe(3)

    const people = await run(
      ['secrets', 'list', 'support', '-o', 'table', '--fields', 'field,number,state,lastMatchedAt'],
      { env: keyless },
    )
    expect(people).toEqual({
      code: 0,
      stdout: `FIELD           #  STATE                              MATCHED
webhook-secret  3  current                            no recorded use
webhook-secret  2  previous, valid for 23 more hours  3 minutes ago, 41 times
webhook-secret  1  expired                            no recorded use
`,
      stderr: '',
    })
  })

  test('a second rotation inside the window is refused and says which secret would die; --end-previous ends that one', async () => {
    const { db, env, id } = await start(kind)
    expect(await rotate(env, 2, '--grace', '24h')).toEqual({
      code: 0,
      stdout: `${id}\n`,
      stderr: expect.stringContaining(
        `; the previous webhook-secret stays valid until ${(await shown(env, 'show', 'support')).webhookSecret.previousValidUntil} in endpoints that use the receiver library\n`,
      ),
    })
    const [, old] = await shown(env, 'secrets', 'list', 'support')
    const before = await kept(db)
    expect(await rotate(env, 3, '--grace', '24h')).toEqual({
      code: 5,
      stdout: '',
      stderr: `error: the previous signing secret is still accepted (fingerprint ${old.fingerprint}, valid until ${old.validUntil}); another rotation needs --end-previous, which expires it at once
hint: wait, pass --end-previous, or run integrations secrets finish support webhook-secret\n`,
    })
    expect(await kept(db)).toBe(before)

    expect(await rotate(env, 3, '--grace', '24h', '--end-previous')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        `warning: expired the previous signing secret: fingerprint ${old.fingerprint}, valid until ${old.validUntil}\n`,
      ),
    })
    expect(await versions(db)).toEqual([
      { number: 1, origin: 'provided', is_current: no, is_kept: no },
      { number: 2, origin: 'provided', is_current: no, is_kept: yes },
      { number: 3, origin: 'provided', is_current: yes, is_kept: no },
    ])
    expect(await revealed(env)).toBe(signingSecret(3))
  })

  test('revert swaps the two and keeps what is left of the window; twice, all is as it was', async () => {
    const { db, env } = await start(kind)
    await rotate(env, 2, '--grace', '6h')
    const before = await shown(env, 'secrets', 'list', 'support')
    const dry = await kept(db)
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret', '--dry-run'], { env })).toMatchObject({
      code: 0,
    })
    expect(await kept(db)).toBe(dry)

    const outcome = await run(['secrets', 'revert', 'support', 'webhook-secret', '-o', 'table'], { env })
    expect(outcome).toMatchObject({
      code: 0,
      stdout: `made the webhook-secret with the fingerprint ${before[1].fingerprint} current again in Acme/support; the reverted webhook-secret stays valid until ${before[1].validUntil} in endpoints that use the receiver library\n`,
    })
    expect(await revealed(env)).toBe(signingSecret(1))
    const swapped = await shown(env, 'secrets', 'list', 'support')
    expect(swapped).toEqual([
      { ...before[0], state: 'previous', validUntil: before[1].validUntil },
      { ...before[1], state: 'current', validUntil: null },
    ])
    expect(await versions(db)).toMatchObject([{ is_kept: no }, { is_kept: yes }])

    expect((await runInProcess(['secrets', 'revert', 'support', 'webhook-secret'], { env })).code).toBe(0)
    expect(await shown(env, 'secrets', 'list', 'support')).toEqual(before)
    expect(await revealed(env)).toBe(signingSecret(2))
    expect(await events(db)).toMatchObject([
      {},
      {},
      { action: 'integration.add' },
      { action: 'secret.rotate' },
      { action: 'secret.revert', target_name: 'Acme/support', fields: 'webhook_secret' },
      { action: 'secret.reveal' },
      { action: 'secret.revert' },
      { action: 'secret.reveal' },
    ])
  })

  test('an old version that was made current again stays within reach, however many came after it', async () => {
    const { db, env } = await start(kind)
    await rotate(env, 2, '--grace', '6h')
    await runInProcess(['secrets', 'revert', 'support', 'webhook-secret'], { env })
    // As if there had been ten more.
    await db.query('UPDATE integration_secrets SET number = 12 WHERE number = 2')
    expect(await rotate(env, 3, '--grace', '6h', '--end-previous')).toMatchObject({ code: 0 })
    expect((await runInProcess(['secrets', 'revert', 'support', 'webhook-secret'], { env })).code).toBe(0)
    expect(await revealed(env)).toBe(signingSecret(1))
  })

  test('a token that was taken back ends when it did, and the list says of each when', async () => {
    const { env } = await start(kind)
    const tokens = { ...env, ONE: botToken(1), TWO: botToken(2) }
    const put = (name: string, ...flags: string[]) =>
      runInProcess(['rotate', 'support', '--access-token-env', name, '--grace', '1h', ...flags], { env: tokens })
    expect((await put('ONE', '--expires-at', '2020-01-31T12:00:00Z')).code).toBe(0)
    expect((await put('TWO', '--no-expiry')).code).toBe(0)
    await runInProcess(['secrets', 'revert', 'support', 'access-token'], { env })
    expect(await shown(env, 'show', 'support')).toMatchObject({ tokenExpiresAt: '2020-01-31T12:00:00.000Z' })
    const list = async (output: string, ...fields: string[]) =>
      (
        await run(['secrets', 'list', 'support', '-o', output, '--fields', ['field', 'number', ...fields].join()], {
          env,
        })
      ).stdout
    expect(await list('csv', 'tokenExpiresAt', 'tokenExpiry')).toBe(`field,number,tokenExpiresAt,tokenExpiry
access-token,2,,never
access-token,1,2020-01-31T12:00:00.000Z,dated
webhook-secret,1,,
`)
    expect((await list('table', 'tokenExpiresAt')).replace(/\d+ years/, 'some years')).toBe(
      `FIELD           #  EXPIRES
access-token    2  never
access-token    1  expired some years ago
webhook-secret  1
`,
    )
  })

  test('a value whose time is over is unusable at once, and forgotten by the next change a day later', async () => {
    const { db, env } = await start(kind)
    await rotate(env, 2, '--grace', '24h')
    await db.query('UPDATE integration_secrets SET valid_until = ? WHERE number = 1', at(-1000))
    let before = await kept(db)
    expect(await run(['secrets', 'revert', 'support', 'webhook-secret'], { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: Acme/support has no previous signing secret that is still valid
hint: integrations secrets list support\n`,
    })
    expect((await shown(env, 'show', 'support')).webhookSecret.previousValidUntil).toBe(null)
    expect(await kept(db)).toBe(before)
    const logged = (await events(db)).length
    await db.query('UPDATE integration_secrets SET valid_until = ? WHERE number = 1', at(-25 * hour))
    before = await kept(db)

    // What changes nothing of its own keeps nothing either.
    expect(await runInProcess(['enable', 'support'], { env })).toMatchObject({ code: 0 })
    expect([await kept(db), (await events(db)).length]).toEqual([before, logged])
    expect(await runInProcess(['disable', 'support'], { env })).toMatchObject({ code: 0 })
    expect(
      await db.query('SELECT action, target_type, count FROM integration_events ORDER BY seq LIMIT 9 OFFSET ?', logged),
    ).toEqual([
      { action: 'secret.purge', target_type: 'database', count: 1 },
      { action: 'integration.disable', target_type: 'integration', count: null },
    ])
    expect(await versions(db)).toEqual([
      { number: 1, origin: 'provided', is_current: no, is_kept: no },
      { number: 2, origin: 'provided', is_current: yes, is_kept: no },
    ])
  })

  test('purge forgets what is over and nothing else', async () => {
    const { db, env } = await start(kind)
    const purge = (...flags: string[]) => run(['secrets', 'purge', '-o', 'json', ...flags], { env })
    await rotate(env, 2, '--grace', '24h')
    expect(await purge()).toEqual({
      code: 0,
      stdout: '{\n  "purged": 0,\n  "outcome": "unchanged"\n}\n',
      stderr: notes('no expired version is stored; no changes made'),
    })
    const logged = (await events(db)).length
    await db.query('UPDATE integration_secrets SET valid_until = ? WHERE number = 1', at(-25 * hour))
    const before = await kept(db)
    expect(await purge('--dry-run')).toEqual({
      code: 0,
      stdout: '{\n  "purged": 1,\n  "outcome": "would change"\n}\n',
      stderr: notes('would delete 1 expired version'),
    })
    expect([await kept(db), (await events(db)).length]).toEqual([before, logged])
    expect(await purge()).toEqual({
      code: 0,
      stdout: '{\n  "purged": 1,\n  "outcome": "changed"\n}\n',
      stderr: notes('deleted 1 expired version'),
    })
    expect((await events(db)).slice(logged)).toMatchObject([{ action: 'secret.purge' }])
    // The key that encrypted it may be retired.
    expect(await db.query('SELECT sealed, key_id FROM integration_secrets WHERE number = 1')).toEqual([
      { sealed: null, key_id: null },
    ])
    expect(await versions(db)).toMatchObject([
      { number: 1, is_kept: no },
      { number: 2, is_current: yes },
    ])
    expect(await revealed(env)).toBe(signingSecret(2))
  })

  test('finish refuses while the old value may be in use', async () => {
    const { db, env, id } = await start(kind)
    const finishing =
      (program: typeof runInProcess) =>
      (...flags: string[]) =>
        program(['secrets', 'finish', 'support', 'webhook-secret', '-o', 'id', ...flags], { env })
    const [finish, again] = [finishing(run), finishing(runInProcess)]
    const hint = 'hint: check integrations secrets list support, or pass --force\n'
    expect(await finish()).toEqual({
      code: 0,
      stdout: `${id}\n`,
      stderr: 'Acme/support has no previous webhook-secret; no changes made\n',
    })
    await rotate(env, 2, '--grace', '24h')
    const before = await kept(db)

    // No report is unknown, not unused, whatever is recorded.
    const refused = (message: string, hinted = hint) => ({
      code: 5,
      stdout: '',
      stderr: `error: ${message}\n${hinted}`,
    })
    const unknown = refused('no receiver reports, so use of the previous signing secret is unknown')
    expect(await finish()).toEqual(unknown)
    await db.query('UPDATE integration_secrets SET last_matched_at = ? WHERE number = 1', at(-2 * hour))
    expect(await again()).toEqual(unknown)
    await db.query('UPDATE integration_secrets SET last_matched_at = ?', at(-180_000))
    expect(await again('--when-unused', '2m')).toEqual(unknown)
    expect(await finish()).toEqual({
      code: 5,
      stdout: '',
      stderr: expect.stringMatching(/^error: the previous signing secret matched a request at \S+Z\nhint: check /),
    })
    // What a receiver of a version before writes down has no MAC.
    const silent = {
      code: 5,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: a receiver has not reported since \S+Z, so use of the previous signing secret is unknown\nhint: wait until \S+Z, or pass --force\n$/,
      ),
    }
    await db.query("INSERT INTO integration_settings (key, value, updated_at) VALUES ('receiver', '', ?)", at(-30_000))
    expect(await again('--when-unused', '2m')).toEqual(silent)
    await db.query("UPDATE integration_settings SET updated_at = ? WHERE key = 'receiver'", at(-430_000))
    expect(await again('--when-unused', '2m')).toEqual(unknown)
    await db.query("DELETE FROM integration_settings WHERE key = 'receiver'")

    const [first, second] = (await db.query('SELECT fingerprint FROM integration_secrets ORDER BY number')).map(
      ({ fingerprint }): ReportedMatch => [id as IntegrationId, fingerprint as Fingerprint, ago(180_000)],
    )
    const report = { remember: 5, stale: 300, since: ago(hour), current: [], previous: [] }
    const putAgain = async (changed: Partial<ReceiverReport>) =>
      put(db, await signed(db, { ...report, at: ago(0), id: 'receiver-1', ...changed }))
    await putAgain({})
    expect(await again('--when-unused', '2m')).toEqual(
      refused(
        'no running receiver has seen a request with the current signing secret, so the previous signing secret may still be in use',
      ),
    )
    if (!first || !second) throw new Error('two versions are there')
    await putAgain({ current: [second], previous: [first] })
    await db.query('UPDATE integration_secrets SET last_matched_at = NULL')
    expect(await again()).toEqual(refused(`the previous signing secret matched a request at ${first[2]}`))
    await putAgain({ current: [second], at: ago(130_000) })
    expect(await again('--when-unused', '2m')).toEqual(silent)
    await putAgain({ current: [second], previous: [first] })
    expect(await kept(db)).toBe(before)
    expect(await again('--when-unused', '2m', '--dry-run')).toMatchObject({ code: 0 })
    expect(await again('--force', '--if-version', '1')).toMatchObject({ code: 5 })
    expect(await kept(db)).toBe(before)

    const until = (await shown(env, 'show', 'support')).webhookSecret.previousValidUntil
    expect(await finish('--when-unused', '2m')).toEqual({
      code: 0,
      stdout: `${id}\n`,
      stderr: `expired the previous webhook-secret of Acme/support, which was valid until ${until}; receivers refuse it within 5 s; within 300 s at a receiver that cannot reach the database; receivers that have not reported their limits within a day may take longer
next: integrations secrets list support\n`,
    })
    expect(await versions(db)).toMatchObject([
      { number: 1, is_current: no, is_kept: no },
      { number: 2, is_current: yes },
    ])
    await rotate(env, 3, '--grace', '24h')
    expect(await again('--force')).toMatchObject({ code: 0 })
    expect(await revealed(env)).toBe(signingSecret(3))
  })

  test('--shared replaces the value wherever it stands, in one transaction, and nothing else', async () => {
    const { db, env } = await start(kind)
    for (const name of ['sales', 'ops', 'other']) await addSlack(env, name)
    // This one has another app.
    await runInProcess(['rotate', 'other', '--webhook-secret-stdin', '--grace', '0'], { env, input: signingSecret(9) })
    const foreign = () =>
      db.query(`SELECT webhook_secret, version, CAST(valid_until AS TEXT) AS valid_until, sealed FROM integrations i
        JOIN integration_versions v ON v.integration_id = i.id JOIN integration_secrets s ON s.integration_id = i.id
        WHERE name = 'other' ORDER BY number`)
    const before = await foreign()
    const logged = (await events(db)).length

    // When one of them cannot take it, none does.
    await runInProcess(['rotate', 'ops', '--webhook-secret-stdin', '--grace', '1h'], { env, input: signingSecret(8) })
    await runInProcess(['secrets', 'revert', 'ops', 'webhook-secret'], { env })
    const untouched = await kept(db)
    expect(await rotate(env, 2, '--shared', '--grace', '24h')).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('error: the previous signing secret of Acme/ops is still accepted (fingerprint'),
    })
    expect(await rotate(env, 2, '--shared', '--grace', '24h', '--end-previous', '--dry-run')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warning: would expire the previous signing secret of Acme/ops: fingerprint'),
    })
    expect(await kept(db)).toBe(untouched)
    await runInProcess(['secrets', 'finish', 'ops', 'webhook-secret', '--force'], { env })

    const outcome = await rotate(env, 2, '--shared', '--grace', '24h')
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /^replaced the webhook-secret of Acme\/support, Acme\/(ops, Acme\/sales|sales, Acme\/ops); /m,
      ),
    })
    expect(await foreign()).toEqual(before)
    const requests = await db.query(
      `SELECT request_id, COUNT(*) AS n FROM integration_events WHERE action = 'secret.rotate' AND seq > ? GROUP BY request_id ORDER BY 2`,
      logged,
    )
    expect(requests.map(({ n }) => Number(n))).toEqual([1, 3])
    for (const ref of ['support', 'sales', 'ops'])
      expect([ref, await revealed(env, 'webhook-secret', ref)]).toEqual([ref, signingSecret(2)])
  })

  test('a token pair is replaced in one transaction, as one event', async () => {
    const { db, env } = await start(kind)
    const put = (n: number) =>
      runInProcess(
        [
          'rotate',
          'support',
          '--access-token-env',
          'A',
          '--refresh-token-env',
          'R',
          '--expires-in',
          '12h',
          '--grace',
          '1h',
        ],
        { env: { ...env, A: botToken(n), R: refreshToken(n) } },
      )
    expect((await put(1)).code).toBe(0)
    expect((await put(2)).code).toBe(0)
    expect((await events(db)).slice(3)).toEqual(
      [1, 2].map(() => ({
        action: 'secret.rotate',
        outcome: 'done',
        target_name: 'Acme/support',
        fields: 'access_token,refresh_token,token_expires_at',
      })),
    )
    const windows = await db.query(
      'SELECT DISTINCT CAST(valid_until AS TEXT) AS until FROM integration_secrets WHERE valid_until IS NOT NULL',
    )
    expect(windows).toHaveLength(1)
    expect([await revealed(env, 'access-token'), await revealed(env, 'refresh-token')]).toEqual([
      botToken(2),
      refreshToken(2),
    ])
  })

  test('a change of metadata touches no secret', async () => {
    const { db, env } = await start(kind)
    await rotate(env, 2, '--grace', '24h')
    const before = await kept(db)
    for (const args of [
      ['disable', 'support'],
      ['update', 'support', '--name', 'helpdesk'],
      ['config', 'set', 'helpdesk', 'slackEvents=["message"]'],
    ])
      expect(await runInProcess(args, { env })).toMatchObject({ code: 0 })
    expect(await kept(db)).toBe(before)
  })

  test('reveal prints the value alone, or as one object; what it cannot print it does not read', async () => {
    const { db, env, id } = await start(kind)
    const reveal = (...args: string[]) => run(['secrets', 'reveal', 'support', ...args], { env })
    expect(await reveal('webhook-secret', '--reason', 'entered at Slack')).toEqual({
      code: 0,
      stdout: `${signingSecret(1)}\n`,
      stderr: '',
    })
    expect(await reveal('webhook-secret', '-o', 'jsonl')).toEqual({
      code: 0,
      stdout: `${JSON.stringify({ id, field: 'webhook-secret', value: signingSecret(1) })}\n`,
      stderr: '',
    })
    expect(await reveal('webhook-secret', '-o', 'csv')).toMatchObject({ code: 2, stdout: '' })
    expect(await reveal('access-token')).toEqual({
      code: 3,
      stdout: '',
      stderr: `error: Acme/support has no bot or user token\nhint: integrations rotate support --field access-token\n`,
    })
    expect(await reveal('password')).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "error: argument 'field' does not take that value\nhint: the secrets are webhook-secret, access-token, refresh-token\n",
    })
    expect(
      await db.query(
        "SELECT action, fields, reason FROM integration_events WHERE action = 'secret.reveal' ORDER BY seq",
      ),
    ).toEqual([
      { action: 'secret.reveal', fields: 'webhook_secret', reason: 'entered at Slack' },
      { action: 'secret.reveal', fields: 'webhook_secret', reason: null },
    ])
  })

  test.each(['>/dev/full', '>&-', '| true'])(
    'that a value was read is recorded when it cannot be printed: %s',
    async (to) => {
      const { db, env } = await start(kind)
      const command = [process.execPath, bin, 'secrets', 'reveal', 'support', 'webhook-secret'].map(quote).join(' ')
      const { stdout } = await runCommand('sh', ['-c', `${command} ${to}`], { env })
      expect(stdout).toBe('')
      expect((await events(db)).slice(3)).toEqual([
        { action: 'secret.reveal', outcome: 'done', target_name: 'Acme/support', fields: 'webhook_secret' },
      ])
    },
  )
})

describe.each(kinds)('beside an application that writes secrets itself, on %s', (kind) => {
  const yes = kind === 'sqlite' ? 1 : true
  const no = kind === 'sqlite' ? 0 : false

  async function startPlain() {
    const db = await freshDatabase(kind)
    await turnEncryptionOff(db)
    const env = { DATABASE_URL: db.url }
    return { db, env, id: await addSlack(env) }
  }

  test('the value it writes while we rotate is recorded, and stays valid for the window', async () => {
    const { db, env } = await startPlain()
    const commit = await begin(db, `UPDATE integrations SET webhook_secret = '${signingSecret(7)}'`)
    const piped = ['--webhook-secret-stdin', '--grace', '24h']
    const rotating = runProgram(['rotate', 'support', ...piped], { env, input: signingSecret(2) })
    await sleep(1500)
    await commit()
    expect(await rotating).toMatchObject({ code: 0 })
    expect(await db.query('SELECT webhook_secret FROM integrations')).toEqual([{ webhook_secret: signingSecret(2) }])
    expect(await versions(db)).toEqual([
      { number: 1, origin: 'provided', is_current: no, is_kept: no },
      { number: 2, origin: 'application', is_current: no, is_kept: yes },
      { number: 3, origin: 'provided', is_current: yes, is_kept: no },
    ])
    expect((await runInProcess(['secrets', 'revert', 'support', 'webhook-secret'], { env })).code).toBe(0)
    expect(await db.query('SELECT webhook_secret FROM integrations')).toEqual([{ webhook_secret: signingSecret(7) }])
  })

  test('a column that the application holds on to is a conflict, and nothing is changed', async () => {
    const { db, env } = await startPlain()
    expect((await rotate(env, 2, '--grace', '24h')).code).toBe(0)
    await db.query(
      kind === 'sqlite'
        ? 'CREATE TRIGGER hold BEFORE UPDATE OF webhook_secret ON integrations BEGIN SELECT RAISE(IGNORE); END'
        : `CREATE RULE hold AS ON UPDATE TO integrations WHERE NEW.webhook_secret <> OLD.webhook_secret DO INSTEAD NOTHING`,
    )
    const before = await kept(db)
    const rotated = await rotate(env, 3, '--grace', '24h', '--end-previous')
    const reverted = await runInProcess(['secrets', 'revert', 'support', 'webhook-secret'], { env })
    expect([rotated, reverted]).toEqual([
      {
        code: 5,
        stdout: '',
        stderr:
          'error: the application wrote the signing secret at the same time\nhint: check what changed with integrations show support, and try again\n',
      },
      {
        code: 5,
        stdout: '',
        stderr:
          'error: the application wrote or cleared the signing secret meanwhile\nhint: integrations secrets list support\n',
      },
    ])
    expect(await kept(db)).toBe(before)
  })

  test('--shared finds what only the application has written, and leaves what it has replaced since', async () => {
    const { db, env } = await startPlain()
    await addSlack(env, 'sales')
    await addSlack(env, 'moved')
    await db.query("UPDATE integrations SET webhook_secret = ? WHERE name = 'moved'", signingSecret(8))
    await db.query(
      "DELETE FROM integration_secrets WHERE integration_id = (SELECT id FROM integrations WHERE name = 'sales')",
    )
    const { code, stderr } = await rotate(env, 2, '--shared', '--grace', '24h')
    expect({ code, stderr: stable(stderr) }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('replaced the webhook-secret of Acme/support, Acme/sales; '),
    })
    expect(await db.query('SELECT name, webhook_secret FROM integrations ORDER BY name')).toEqual([
      { name: 'moved', webhook_secret: signingSecret(8) },
      { name: 'sales', webhook_secret: signingSecret(2) },
      { name: 'support', webhook_secret: signingSecret(2) },
    ])
    expect(
      (await events(db))
        .slice(-3)
        .map(({ action, target_name: name }) => `${action} ${name}`)
        .sort(),
    ).toEqual(['secret.external_change Acme/moved', 'secret.rotate Acme/sales', 'secret.rotate Acme/support'])

    // Programs before called it by another name, which their events keep.
    const named = async (action: string) => {
      const { stdout } = await runInProcess(['audit', 'list', '--action', action, '-o', 'json'], { env })
      return (JSON.parse(stdout) as { action: string }[]).map((event) => event.action)
    }
    expect(await named('secret.notice')).toEqual(['secret.external_change'])
    await db.query(
      `INSERT INTO integration_events
          (seq, at, request_id, action, outcome, target_type, os_user, host, pid, program_version, format, previous_hash, hash)
        SELECT seq + 1, at, request_id, 'secret.notice', outcome, target_type, os_user, host, pid, program_version, format, hash, hash
        FROM integration_events ORDER BY seq DESC LIMIT 1`,
    )
    for (const action of ['secret.external_change', 'secret.notice'])
      expect((await named(action)).sort()).toEqual(['secret.external_change', 'secret.notice'])
  })
})

import { describe, expect, test } from 'vitest'
import { findingCodes, isIntegrationCode } from '../../src/operations/report/finding.ts'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, runInTerminal } from '../support/program.ts'
import { schemaProblems } from '../support/report-schema.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'

const integrationCodes = (Object.keys(findingCodes) as (keyof typeof findingCodes)[]).filter(isIntegrationCode)
const days = 86_400_000

/** An instant so long from now, as both databases take it. */
const at = (distanceMs: number) => new Date(Date.now() + distanceMs).toISOString().replace('Z', '+00:00')

interface Told {
  readonly severity: string
  readonly code: string
  readonly id: string | null
  readonly integration: string | null
  readonly since: string | null
  readonly next: string | null
}

describe.each(kinds)('report on %s', (kind) => {
  const run = runInProcess
  const no = kind === 'sqlite' ? 0 : false

  /** A database whose integrations were all used, and which no one can complain of. */
  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const done = async (args: string[], secrets: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await runInProcess(args, { env: { ...env, ...secrets } })
      expect([args, code, stderr]).toEqual([args, 0, expect.any(String)])
      return stdout.trim()
    }
    await done(['workspaces', 'add', 'Acme'])
    await done(['apps', 'add', 'bot', '--platform', 'slack', '--client-id', '1.2', '--client-secret-env', 'S'], {
      S: 'client-secret-of-a-test',
    })
    let n = 0
    /** Adds one without a fault. */
    const add = async (name: string, ...flags: string[]) => {
      n++
      const own = ['--webhook-secret-env', 'W', '--access-token-env', 'A', '--no-expiry', '-o', 'id', ...flags]
      const id = await done(['add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, ...own], {
        W: signingSecret(1),
        A: botToken(n),
        R: refreshToken(n),
      })
      await db.query('UPDATE integrations SET last_used_at = ? WHERE id = ?', at(-60_000), id)
      return id
    }
    return { db, env, done, add, token: () => botToken(n) }
  }

  const reported = async (env: Record<string, string>, ...flags: string[]) => {
    const { code, stdout, stderr } = await run(['report', '-o', 'json', ...flags], { env })
    const findings = JSON.parse(stdout) as Told[]
    expect(schemaProblems(findings)).toEqual([])
    return { code, stderr, findings }
  }

  test('finds nothing where nothing is wrong, without keys, and changes nothing', async () => {
    const { db, env, add } = await start()
    await add('fine')
    const before = await contents(db)
    expect(await reported({ ...env, INTEGRATIONS_KEYS_FILE: `${freshFolder()}/none` })).toEqual({
      code: 0,
      stderr: '{"level":"info","message":"no findings in 1 integration"}\n',
      findings: [],
    })
    expect(await contents(db)).toEqual(before)
  })

  test('finds each fault once, and nothing else', async () => {
    const { db, env, done, add, token } = await start()
    await add('fine')
    const expected: Record<string, { code: string; since: unknown; next: string | null }> = {}
    const set = (id: string, column: string, value: string | null) =>
      db.query(`UPDATE integrations SET ${column} = ? WHERE id = ?`, value, id)
    const expectFault = (name: string, code: string, since: unknown, next: string | null) => {
      expected[name] = { code, since, next }
    }
    const near = (distanceMs: number) => ({ asymmetricMatch: (text: string) => isNear(text, distanceMs) })
    const isNear = (text: string, distanceMs: number) => Math.abs(Date.parse(text) - Date.now() - distanceMs) < 600_000

    for (const [name, distance, since] of [
      ['token-expired', -days, -days],
      ['token-expires-1d', days / 2, -days / 2],
      ['token-expires-7d', 3 * days, -4 * days],
      ['token-expires-30d', 20 * days, -10 * days],
    ] as const) {
      const id = await add(name)
      await set(id, 'token_expires_at', at(distance))
      expectFault(name, name, near(since), `integrations rotate ${id} --field access-token`)
    }
    const refreshing = async (name: string, expiresInMs: number) => {
      const id = await add(name, '--refresh-token-env', 'R', '--app', 'bot')
      await set(id, 'token_expires_at', at(expiresInMs))
      return id
    }
    // A token that is refreshed in time is no fault.
    await refreshing('refreshed', 2 * 3_600_000)
    const overdue = await refreshing('refresh-overdue', 1_800_000)
    expectFault('refresh-overdue', 'refresh-overdue', near(-1_800_000), `integrations refresh ${overdue}`)
    for (const [code, state, next] of [
      ['refresh-refused', 'refused', (id: string) => `integrations refresh ${id}`],
      ['refresh-outcome-unknown', 'unknown', (id: string) => `integrations recover ${id}`],
      [
        'reauthorization-needed',
        'needs_reauth',
        (id: string) => `integrations rotate ${id} --field access-token --field refresh-token`,
      ],
    ] as const) {
      const id = await refreshing(code, 2 * 3_600_000)
      await db.query(
        `INSERT INTO integration_refresh_attempts (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until)
         SELECT integration_id, integration_id, 1, '${state}', 'x', fingerprint, set_at, set_at FROM integration_secrets WHERE integration_id = ? AND field = 'refresh_token'`,
        id,
      )
      expectFault(code, code, null, next(id))
    }

    const unknown = await add('token-expiry-unknown')
    await db.query('UPDATE integration_secrets SET never_expires = ? WHERE integration_id = ?', no, unknown)
    expectFault('token-expiry-unknown', 'token-expiry-unknown', near(0), `integrations check ${unknown}`)

    const [bare = ''] = [
      await done(
        [
          'add',
          '--platform',
          'slack',
          '--workspace',
          'Acme',
          '--name',
          'secret-missing',
          '--webhook-secret-env',
          'W',
          '-o',
          'id',
        ],
        { W: signingSecret(1) },
      ),
    ]
    await set(bare, 'last_used_at', at(-60_000))
    expectFault('secret-missing', 'secret-missing', near(0), `integrations rotate ${bare} --field access-token`)

    const invalid = await add('config-invalid')
    await set(invalid, 'config', '{"slackEvents":7}')
    expectFault('config-invalid', 'config-invalid', null, `integrations config edit ${invalid}`)

    const keys = async (name: string, keyId: string | null) => {
      const id = await add(name)
      await db.query(
        "UPDATE integration_secrets SET key_id = ? WHERE integration_id = ? AND field = 'access_token'",
        keyId,
        id,
      )
      return id
    }
    const plain = await keys('secret-not-encrypted', null)
    expectFault(
      'secret-not-encrypted',
      'secret-not-encrypted',
      near(0),
      `integrations rotate ${plain} --field access-token --end-previous --grace 0`,
    )
    await keys('key-unusable', 'enc-000000000000')
    expectFault('key-unusable', 'key-unusable', null, 'integrations keys list')

    const stale = await add('stale')
    await set(stale, 'last_used_at', at(-31 * days))
    expectFault('stale', 'stale', near(-days), `integrations disable ${stale}`)
    const never = await add('never-used')
    await set(never, 'last_used_at', null)
    await set(never, 'created_at', at(-40 * days))
    expectFault('never-used', 'never-used', near(-10 * days), `integrations disable ${never}`)

    for (const [i, [code, grace, matched]] of (
      [
        ['grace-period-open', '48h', ['current']],
        ['new-secret-unmatched', '48h', []],
        ['previous-secret-in-use', '1h', ['previous']],
      ] as const
    ).entries()) {
      const id = await add(code)
      await done(['rotate', id, '--webhook-secret-env', 'W', '--grace', grace], { W: signingSecret(20 + i) })
      for (const which of matched)
        await db.query(
          `UPDATE integration_secrets SET last_matched_at = ? WHERE integration_id = ? AND field = 'webhook_secret' AND valid_until IS ${which === 'current' ? '' : 'NOT'} NULL`,
          at(1000),
          id,
        )
      expectFault(
        code,
        code,
        near(code === 'previous-secret-in-use' ? 3_600_000 - days : 0),
        code === 'grace-period-open'
          ? `integrations secrets finish ${id} webhook-secret`
          : `integrations secrets list ${id}`,
      )
    }

    await add('shared-1')
    const shared = token()
    const second = await add('shared-2', '--force-shape')
    await done(['rotate', second, '--access-token-env', 'A', '--grace', '0', '--no-expiry'], { A: shared })
    const [{ fingerprint } = {}] = await db.query(
      "SELECT fingerprint FROM integration_secrets WHERE integration_id = ? AND field = 'access_token' AND valid_until IS NULL",
      second,
    )
    for (const name of ['shared-1', 'shared-2'])
      expectFault(name, 'secret-shared', near(0), `integrations list --fingerprint ${fingerprint}`)

    const [{ id: workspace } = {}] = await db.query('SELECT id FROM workspaces')
    const insert = (name: string, platform: string) =>
      db.query(
        'INSERT INTO integrations (id, workspace_id, platform, name, last_used_at) VALUES (?, ?, ?, ?, ?)',
        name,
        String(workspace),
        platform,
        name,
        at(0),
      )
    await insert('platform-unknown', 'teams')
    expectFault('platform-unknown', 'platform-unknown', null, null)
    await insert('secret-unknown', 'pylon')
    expectFault(
      'secret-unknown',
      'secret-unknown',
      null,
      'integrations rotate secret-unknown --field webhook-secret --field access-token',
    )

    const health = async (name: string, code: string, columns: string, values: string) => {
      const id = await add(name)
      await db.query(
        `INSERT INTO integration_health (integration_id, ${columns}) SELECT integration_id, ${values} FROM integration_secrets WHERE integration_id = ? AND field = 'access_token'`,
        id,
      )
      expectFault(
        name,
        code,
        near(-60_000),
        `integrations ${code === 'webhooks-refused' ? 'secrets list' : 'check'} ${id}`,
      )
    }
    const check = 'check_verdict, check_code, check_fingerprint, checked_at'
    const then = `'${at(-60_000)}'`
    const time = kind === 'postgresql' ? `CAST(${then} AS timestamp)` : then
    await health('check-failed', 'check-failed', check, `'refused', 'token_revoked', fingerprint, ${time}`)
    await health('check-differs', 'check-differs', check, `'ok', 'differs', fingerprint, ${time}`)
    await health('check-unknown', 'check-unknown', check, `'unknown', NULL, fingerprint, ${time}`)
    await health(
      'webhooks-refused',
      'webhooks-refused',
      'refused_count, refused_since, refused_at, refused_reason',
      `2, ${time}, ${time}, 'signature_mismatch'`,
    )
    const used = await add('inactive-but-used')
    await done(['disable', used])
    await set(used, 'last_used_at', at(60_000))
    expectFault('inactive-but-used', 'inactive-but-used', near(0), `integrations enable ${used}`)

    // One that is not in use may be as it likes.
    const off = await add('inactive')
    await set(off, 'token_expires_at', at(-days))
    await done(['disable', off])

    const revoked = await add('revocation-outcome-unknown')
    const [{ fingerprint: asked } = {}] = await db.query(
      "SELECT fingerprint FROM integration_secrets WHERE integration_id = ? AND field = 'access_token'",
      revoked,
    )
    for (const [id, name, token] of [
      [revoked, 'revocation-outcome-unknown', asked],
      ['removed', 'removed', 'fedcba9876543210'],
    ])
      await db.query(
        `INSERT INTO integration_events (seq, at, request_id, action, outcome, target_type, target_id, target_name, fields, os_user, host, pid, program_version, format, previous_hash, hash)
         SELECT max(seq) + 1, ${kind === 'postgresql' ? 'CAST(? AS timestamp)' : '?'}, '', 'secret.revoke', 'started', 'integration', ?, ?, ?, '', '', 1, '', 2, '', '' FROM integration_events`,
        at(-days),
        String(id),
        `Acme/${name}`,
        `access_token,fingerprint:${token}`,
      )
    expectFault(
      'revocation-outcome-unknown',
      'revocation-outcome-unknown',
      near(-days),
      `integrations secrets revoke ${revoked} access-token`,
    )
    expectFault('null', 'revocation-outcome-unknown', near(-days), null)

    const { code, findings, stderr } = await reported(env)
    const told = Object.fromEntries(
      findings.map(({ integration, code, since, next }) => [
        String(integration).replace('Acme/', ''),
        { code, since, next },
      ]),
    )
    expect(told).toEqual(expected)
    expect(findings.length).toBe(Object.keys(expected).length)
    expect(code).toBe(8)
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'CHECK_FAILED',
      message: '13 errors, 12 warnings, 4 unknown findings in 31 integrations',
    })

    // What the report lists can be acted on.
    const idsWith = (code: string) => findings.flatMap((one) => (one.code === code && one.id !== null ? [one.id] : []))
    for (const code of integrationCodes) {
      const listed = await run(['list', '--finding', code, '-o', 'id', '--sort', 'name'], { env })
      expect([code, listed.code, listed.stdout.split('\n').slice(0, -1).sort()]).toEqual([
        code,
        0,
        idsWith(code).sort(),
      ])
    }
    expect(new Set(findings.map(({ code }) => code)).size).toBeGreaterThan(20)

    // Each daily job tells a finding once; one whose beginning is not known, rather again than never.
    const undated = findings.filter(({ since }) => since === null)
    const toldAgain = undated.filter(({ severity }) => severity !== 'unknown')
    const recent = await reported(env, '--new-since', '25h', '--fail-on', 'never')
    expect(recent.findings.map(({ code }) => code).sort()).toEqual(
      [
        ...toldAgain,
        ...findings.filter(({ since }) => since !== null && Date.parse(since) > Date.now() - 25 * 3_600_000),
      ]
        .map(({ code }) => code)
        .sort(),
    )
    expect(recent).toMatchObject({ code: 0 })
    expect([undated.length, toldAgain.length]).toEqual([7, 5])
    expect(recent.stderr).toContain('told each time, as it is not known since when they are true: 5 findings')
    expect(recent.stderr).toContain('left out, as it is not known since when they are true: 2 findings')
  }, 120_000)

  test('fails on what --fail-on says, and on all that is worse', async () => {
    const { db, env, add } = await start()
    const codes = async () =>
      Object.fromEntries(
        await Promise.all(
          ['error', 'warning', 'unknown', 'never'].map(
            async (on) => [on, (await reported(env, '--fail-on', on)).code] as const,
          ),
        ),
      )
    const id = await add('one')
    await db.query('UPDATE integration_secrets SET never_expires = ?', no)
    expect(await codes()).toEqual({ error: 0, warning: 0, unknown: 8, never: 0 })
    await db.query('UPDATE integrations SET token_expires_at = ? WHERE id = ?', at(20 * days), id)
    expect(await codes()).toEqual({ error: 0, warning: 8, unknown: 8, never: 0 })
    await db.query('UPDATE integrations SET token_expires_at = ? WHERE id = ?', at(-days), id)
    expect(await codes()).toEqual({ error: 8, warning: 8, unknown: 8, never: 0 })
    expect(await run(['report', '--fail-on', 'all'], { env })).toMatchObject({ code: 2, stdout: '' })
  })

  test('says that use is not recorded, or that receivers are silent', async () => {
    const { db, env, add } = await start()
    expect(await reported(env)).toMatchObject({ code: 0, findings: [] })
    await add('one')
    const about = async () => (await reported(env)).findings.map(({ code, integration }) => [code, integration])
    await db.query('UPDATE integrations SET last_used_at = NULL')
    expect(await about()).toEqual([['use-not-recorded', null]])
    const report = (distanceMs: number) =>
      db.query(
        "INSERT INTO integration_receivers (id, report, mac, updated_at) VALUES (?, '{}', '', ?)",
        String(distanceMs),
        at(distanceMs),
      )
    await report(-2 * days)
    expect(await about()).toEqual([['receiver-silent', null]])
    await report(-60_000)
    expect(await about()).toEqual([])
    expect(await reported(env, '--platform', 'slack')).toMatchObject({ code: 0, findings: [] })
  })

  test('names a row that cannot be read, and goes on', async () => {
    const { db, env, add } = await start()
    const id = await add('spoilt')
    await spoil(db, id)
    await add('fine')
    expect((await reported(env)).findings).toEqual([
      expect.objectContaining({ code: 'row-unreadable', severity: 'error', next: 'integrations audit verify' }),
    ])
  })
})

const spoil = (db: TestDatabase, id: string) =>
  db.kind === 'sqlite'
    ? db.query("UPDATE integrations SET slack_team_name = CAST(x'ff' AS TEXT) WHERE id = ?", id)
    : db.query("UPDATE integrations SET token_expires_at = 'infinity' WHERE id = ?", id)

test('a table shows the worst first, and no more than 20 of each', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
  await runInProcess(['workspaces', 'add', 'Acme'], { env })
  const [{ id } = {}] = await db.query('SELECT id FROM workspaces')
  for (let i = 10; i < 32; i++)
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name, token_expires_at, last_used_at) VALUES (?, ?, 'other', ?, ?, ?)",
      `id-${i}`,
      String(id),
      `n${i}`,
      at(0),
      at(0),
    )
  const { code, screen } = await runInTerminal(['report', '--fail-on', 'unknown'], [], { env, columns: 80 })
  const lines = screen.trimEnd().split('\r\n')
  expect([code, lines[0], lines[1], lines.length]).toEqual([
    8,
    'SEVERITY  CODE              INTEGRATION  EVIDENCE',
    'unknown   platform-unknown  Acme/n10     this version does not know the platform',
    24,
  ])
  expect(lines.slice(-3)).toEqual([
    '2 more of platform-unknown: -o jsonl shows all',
    'error: 22 unknown findings in 22 integrations',
    'hint: what to type for each finding: integrations report --fields integration,next',
  ])
})

test('a narrow table keeps what was seen before the owner and the beginning, with times in words', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url, W: signingSecret(1), A: botToken(1) }
  const labels = ['--owner', 'team-payments', '--webhook-secret-env', 'W', '--access-token-env', 'A']
  await runInProcess(['workspaces', 'add', 'Acme'], { env })
  await runInProcess(
    ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', '--expires-in', '5d', ...labels],
    { env },
  )
  await db.query('UPDATE integrations SET last_used_at = ?', at(0))
  const screen = async (columns: number, more: Record<string, string>) =>
    (await runInTerminal(['report'], [], { env: { ...env, ...more }, columns })).screen.split('\r\n')
  const [head, first] = await screen(80, { NO_COLOR: '1' })
  expect([head, first]).toEqual([
    'SEVERITY  CODE              INTEGRATION   SINCE       EVIDENCE',
    'warning   token-expires-7d  Acme/support  2 days ago  expires in 5 days',
  ])
  // The colour of the code is that of the severity.
  expect((await screen(36, {}))[1]).toBe('\u001b[33mtoken-expires-7d\u001b[39m  Acme/support')
})

test('-o id tells each integration once, and leaves the database out', async () => {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url, A: botToken(1) }
  await runInProcess(['workspaces', 'add', 'Acme'], { env })
  const add = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', '--access-token-env', 'A']
  const { stdout: id } = await runInProcess([...add, '--expires-in', '5d', '-o', 'id'], { env })
  const codes = ['secret-missing', 'token-expires-7d', 'use-not-recorded']
  const { stdout } = await runInProcess(['report', '--fields', 'code'], { env })
  expect(stdout.trim().split('\n').sort()).toEqual(codes)
  expect(await runInProcess(['report', '-o', 'id'], { env })).toMatchObject({ code: 8, stdout: id })
})

import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'
import { addSlack, revealed, rotate } from '../support/slack-integration.ts'
import { notes } from '../support/told.ts'

const accepted = 'Slack still accepts it until its expiry or revocation: https://api.slack.com/apps'
const columns = 'SELECT webhook_secret, access_token, refresh_token FROM integrations'
const history =
  'SELECT field, number, origin, set_by IS NOT NULL AS attributed, valid_until IS NULL AS is_current, never_expires FROM integration_secrets ORDER BY field, number'

describe.each(kinds)('rotate on %s', (kind) => {
  const run = runInProcess

  const yes = kind === 'sqlite' ? 1 : true
  const no = kind === 'sqlite' ? 0 : false

  async function start(): Promise<{ db: TestDatabase; env: Record<string, string> }> {
    const db = await freshDatabase(kind)
    const env = {
      DATABASE_URL: db.url,
      TOKEN: botToken(1),
      REFRESH: refreshToken(1),
      NEW_TOKEN: botToken(2),
      NEW_REFRESH: refreshToken(2),
    }
    await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD', '--access-token-env', 'TOKEN', '--no-expiry')
    return { db, env }
  }

  const pair = [
    'rotate',
    'support',
    '--access-token-env',
    'NEW_TOKEN',
    '--refresh-token-env',
    'NEW_REFRESH',
    '--grace',
    '0',
  ]

  test('a token pair is replaced together, and nothing else is touched', async () => {
    const { db, env } = await start()
    const { code, stdout, stderr } = await run([...pair, '--expires-in', '12h', '-o', 'json'], { env })
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: notes(
        `replaced the access-token and refresh-token of Acme/support; the previous access-token is deleted here, and ${accepted}`,
      ),
    })
    const shown = JSON.parse(stdout)
    expect(shown).toMatchObject({
      version: 2,
      tokenExpiry: 'dated',
      accessToken: { set: true },
      refreshToken: { set: true },
    })
    const hours = (Date.parse(shown.tokenExpiresAt) - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(11.9)
    expect(hours).toBeLessThanOrEqual(12)
    expect([
      await revealed(env),
      await revealed(env, 'access-token'),
      await revealed(env, 'refresh-token'),
      await db.query('SELECT name, slack_team_id FROM integrations'),
    ]).toEqual([signingSecret(1), botToken(2), refreshToken(2), [{ name: 'support', slack_team_id: 'T012AB3CD' }]])
    expect(await db.query(history)).toEqual([
      { field: 'access_token', number: 1, origin: 'provided', attributed: yes, is_current: no, never_expires: yes },
      { field: 'access_token', number: 2, origin: 'provided', attributed: yes, is_current: yes, never_expires: no },
      { field: 'refresh_token', number: 1, origin: 'provided', attributed: yes, is_current: yes, never_expires: no },
      { field: 'webhook_secret', number: 1, origin: 'provided', attributed: yes, is_current: yes, never_expires: no },
    ])
  })

  test('when one of two is refused, neither is replaced', async () => {
    const { db, env } = await start()
    const before = [await db.query(columns), await db.query(history)]
    const outcome = await run(pair, { env: { ...env, NEW_REFRESH: 'not-a-refresh-token' } })
    expect(outcome).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: a Slack refresh token should start with xoxe-1-\nhint: pass the value alone, as Slack shows it, or pass --force-shape to accept it as it is\n',
    })
    expect([await db.query(columns), await db.query(history)]).toEqual(before)
  })

  test('a new token without an expiry has one that nobody knows', async () => {
    const { db, env } = await start()
    await db.query("UPDATE integrations SET token_expires_at = '2026-12-31 00:00:00'")
    const { stdout } = await run(
      [
        'rotate',
        'support',
        '--access-token-env',
        'NEW_TOKEN',
        '--grace',
        '0',
        '-o',
        'json',
        '--fields',
        'tokenExpiresAt,tokenExpiry',
      ],
      { env },
    )
    expect(JSON.parse(stdout)).toEqual({ tokenExpiresAt: null, tokenExpiry: 'unknown' })
  })

  test('--dry-run says what would change, and changes nothing', async () => {
    const { db, env } = await start()
    const all = async () =>
      JSON.stringify([
        await db.query('SELECT * FROM integrations'),
        await db.query(history),
        await db.query("SELECT CAST(seq AS INTEGER) AS seq FROM integration_settings WHERE key = 'head'"),
      ])
    const before = await all()
    const outcome = await run([...pair, '--dry-run', '-o', 'id'], { env })
    expect(outcome).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/),
      stderr: `the expiry of the access token is unknown, and the previous token never expired; --expires-in, --expires-at or --no-expiry sets the expiry\nwould replace the access-token and refresh-token of Acme/support; the previous access-token would be deleted here, and ${accepted}\n`,
    })
    expect(await all()).toBe(before)
  })

  test('--force-shape takes what is refused for its shape, and warns', async () => {
    const { env } = await start()
    const warned = await run(
      ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--force-shape', '-o', 'id'],
      {
        env,
        input: 'S'.repeat(40),
      },
    )
    expect(warned).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warning: a Slack signing secret should be 32 lower-case hex digits\n'),
    })
    const forced = await run(
      ['rotate', 'support', '--access-token-env', 'NEW_REFRESH', '--grace', '0', '--force-shape', '-o', 'id'],
      { env },
    )
    expect(forced).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('warning: a Slack bot or user token should not be a refresh token (xoxe-1-…)\n'),
    })
    expect([await revealed(env), await revealed(env, 'access-token')]).toEqual(['S'.repeat(40), refreshToken(2)])
  })

  test('a value is generated where the platform may take one', async () => {
    const { db, env } = await start()
    expect(await run(['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk'], { env })).toMatchObject({
      code: 0,
    })
    const rotate = ['rotate', '--field', 'webhook-secret', 'desk', '--generate', '--grace', '0', '-o', 'id']
    const planned = await run([...rotate, '--dry-run'], { env })
    expect(planned).toMatchObject({ code: 0, stderr: expect.not.stringContaining('enter the generated') })
    const outcome = await run(rotate, { env })
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^warning: enter the generated webhook secret at Pylon \(https:/),
    })
    expect(
      await db.query(
        "SELECT s.origin FROM integrations i JOIN integration_secrets s ON s.integration_id = i.id WHERE i.name = 'desk'",
      ),
    ).toEqual([{ origin: 'generated' }])
    const value = await revealed(env, 'webhook-secret', 'desk')
    expect(value).toMatch(/^[0-9a-f]{64}$/)
    expect(outcome.stdout + outcome.stderr).not.toContain(value)
  })

  test('ten versions of a secret are remembered', async () => {
    const { db, env } = await start()
    for (let n = 2; n <= 13; n++)
      expect(
        await runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '0'], {
          env,
          input: signingSecret(n),
        }),
      ).toMatchObject({ code: 0 })
    expect(
      await db.query("SELECT number FROM integration_secrets WHERE field = 'webhook_secret' ORDER BY number"),
    ).toEqual(Array.from({ length: 10 }, (_, i) => ({ number: i + 4 })))
    expect(
      await db.query("SELECT number FROM integration_secrets WHERE field = 'webhook_secret' AND valid_until IS NULL"),
    ).toEqual([{ number: 13 }])
  })

  test('a secret that came with a newline is stored without it', async () => {
    const { env } = await start()
    for (const [n, end, ...from] of [
      [2, '\n', '--webhook-secret-stdin'],
      [3, '\r\n', '--webhook-secret-stdin'],
      [4, '', '--webhook-secret-stdin'],
      [5, '\n', '--webhook-secret-file', '-'],
    ] as const) {
      expect(
        await run(['rotate', 'support', ...from, '--grace', '0'], {
          env,
          input: `${signingSecret(n)}${end}`,
        }),
      ).toMatchObject({ code: 0 })
      expect(await revealed(env)).toBe(signingSecret(n))
    }
  })

  test.each([
    [
      ['--grace', '24'],
      "option '--grace <duration>' does not take that value",
      'write a number with its unit, as in 90m, 24h or 7d',
    ],
    [['--grace', '169h'], 'a grace period is at most 7 days', 'pass a shorter --grace, as in --grace 24h'],
    [
      ['--until', '2026-01-31T12:00:00Z'],
      '--until is in the past',
      'pass --grace 0 to expire the previous secret at once',
    ],
    [
      ['--until', '2036-01-31T12:00:00Z'],
      'a grace period is at most 7 days',
      'pass an earlier --until, or --grace 24h',
    ],
    [
      [],
      '--grace is required: how long does the previous secret stay valid?',
      'pass --grace 24h, or --grace 0 to expire the previous secret at once',
    ],
    [
      ['--expires-in', '12h', '--grace', '0'],
      'an expiry needs an access token',
      'pass the access token too, as in --access-token-stdin',
    ],
  ])('%j is refused, and nothing is changed', async (flags, message, hint) => {
    const { db, env } = await start()
    const before = [await db.query(columns), await db.query(history)]
    expect(await rotate(env, 2, ...flags)).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${message}\nhint: ${hint}\n`,
    })
    expect([await db.query(columns), await db.query(history)]).toEqual(before)
  })

  test('--until says when the old value ends; a first value replaces nothing and needs no --grace', async () => {
    const { db, env } = await start()
    const until = new Date(Date.now() + 2 * 86_400_000).toISOString()
    expect(await rotate(env, 2, '--until', until, '--if-version', '1')).toMatchObject({ code: 0 })
    const show = await runInProcess(['show', 'support', '-o', 'json', '--fields', 'webhookSecret,version'], { env })
    expect(JSON.parse(show.stdout)).toMatchObject({ webhookSecret: { previousValidUntil: until }, version: 2 })
    expect(await run(['rotate', 'support', '--refresh-token-env', 'REFRESH', '-o', 'table'], { env })).toMatchObject({
      code: 0,
      stdout: 'replaced the refresh-token of Acme/support\n',
    })
    expect(await rotate(env, 3, '--grace', '1h', '--end-previous', '--if-version', '2')).toMatchObject({ code: 5 })
    expect(await db.query("SELECT number FROM integration_secrets WHERE field = 'webhook_secret'")).toHaveLength(2)
  })

  test('at a terminal the old value stays valid for a day, and that is said', async () => {
    const { env } = await start()
    const { code, screen } = await runInTerminal(
      ['rotate', 'support', '--field', 'webhook-secret'],
      [['New Slack signing secret', `${signingSecret(2)}\n`]],
      { env },
    )
    expect(screen).toContain('the previous webhook-secret stays valid for 24 hours; change that with --grace')
    expect(screen).not.toContain(signingSecret(2))
    expect(code).toBe(0)
    const show = await runInProcess(['show', 'support', '-o', 'json', '--fields', 'webhookSecret'], { env })
    const hours = (Date.parse(JSON.parse(show.stdout).webhookSecret.previousValidUntil) - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(23.9)
    expect(hours).toBeLessThanOrEqual(24)
    expect(await revealed(env)).toBe(signingSecret(2))
  })
})

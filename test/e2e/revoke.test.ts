import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { adoptedDatabase } from '../support/adopted.ts'
import { begin, contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import {
  type PlatformServer,
  type Script,
  slackError,
  slackRevoked,
  startPlatformServer,
} from '../support/platform-server.ts'
import { bin, environment, type Outcome, runInTerminal } from '../support/program.ts'
import { botToken, refreshToken, signingSecret, stable } from '../support/samples.ts'
import { addSlack, revealed } from '../support/slack-integration.ts'
import { changeNewestEvent, turnEncryptionOff } from '../support/state.ts'

let server: PlatformServer
/** Where nothing listens. */
let closed: string
beforeAll(async () => {
  const gone = await startPlatformServer()
  closed = gone.url
  await gone.close()
  server = await startPlatformServer()
})
afterAll(() => server.close())

/** Another token for every number, and for every test. */
let base = 1000
beforeEach(() => {
  base += 100
  server.asked.length = 0
})
const token = (n: number) => botToken(base + n)

const page = 'https://api.slack.com/apps'
const warning = (what: string, more = '') =>
  `Slack will revoke ${what} of Acme/support, which cannot be undone. Slack deactivates the bot user of a revoked bot token, and removes it from its channels.${more}\n`
const byHand = `revoke the token by hand at ${page}: its value is not stored here any more`
const it = 'the previous access-token of Acme/support'

describe.each(kinds)('revocation on %s', (kind) => {
  const run = runInProcess
  const api = () => `api_url:slack=${server.url}api/`

  /** A database with the integration support, which has a token. */
  async function start() {
    const db = await freshDatabase(kind)
    const env = {
      DATABASE_URL: db.url,
      INTEGRATIONS_API_URL: server.everything,
      ...Object.fromEntries([1, 2, 3].map((n) => [`TOKEN${n}`, token(n)])),
    }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN1', '--no-expiry')
    return { db, env }
  }
  const rotate = (n: number, ...flags: string[]) => [
    ...['rotate', 'support', '--access-token-env', `TOKEN${n}`, '--no-expiry', '-o', 'id', ...flags],
  ]
  const revoking = ['--grace', '0', '--revoke', '--confirm', 'support']

  /** What the log holds from an action on, without fingerprints. */
  const log = async (db: TestDatabase, since = 3) =>
    (
      await db.query(
        'SELECT action, outcome, target_name AS target, fields FROM integration_events WHERE seq > ? ORDER BY seq',
        since,
      )
    ).map(({ action, outcome, target, fields }) =>
      [action, outcome, target, String(fields).replace(/fingerprint:[0-9a-f]{16}/, 'fingerprint')].join(' | '),
    )
  const started = (field: string) => `secret.revoke | started | Acme/support | ${field},fingerprint,${api()}`
  const ended = (field: string, outcome: string, answer: string) =>
    `secret.revoke | ${outcome} | Acme/support | ${field},fingerprint,outcome:${answer},${api()}`
  const previous = 'previous_access_token'
  const fingerprint = expect.stringMatching(/^[0-9a-f]{16}$/)
  const idsOf = async (db: TestDatabase, ...names: string[]) => {
    const rows = await db.query('SELECT id, name FROM integrations')
    return names.map((wanted) => rows.find(({ name }) => name === wanted)?.id)
  }

  /** The log verifies, and no token is in the database or in an answer. */
  const isSound = async (db: TestDatabase, ...outcomes: Outcome[]) => {
    expect(await runInProcess(['audit', 'verify'], { env: { DATABASE_URL: db.url } })).toMatchObject({ code: 0 })
    const text = JSON.stringify([await contents(db), outcomes])
    for (let n = 1; n < 4; n++) expect(text).not.toContain(token(n))
  }

  test('rotate stores the new token first, and has the platform revoke the current one and those that are kept', async () => {
    const { db, env } = await start()
    await runInProcess(rotate(2, '--grace', '1h'), { env })
    const then: unknown[] = []
    server.script(token(2), async (response) => {
      const [kept] = await db.query('SELECT count(*) AS n FROM integration_secrets WHERE sealed IS NOT NULL')
      then.push(Number(kept?.n), await log(db, 4))
      response.end(JSON.stringify({ ok: true, revoked: true }))
    })
    const outcome = await run(rotate(3, ...revoking), { env })
    expect({ ...outcome, stdout: stable(outcome.stdout) }).toEqual({
      code: 0,
      stdout: '<id>\n',
      stderr: `${warning('2 access tokens')}replaced the access-token of Acme/support; the previous access-token is deleted here; Slack has revoked 2 previous access-tokens of Acme/support\n`,
    })
    const began = [started(previous), started(previous), 'secret.rotate | done | Acme/support | access_token']
    expect(then).toEqual([0, began])
    const done = ended(previous, 'done', 'revoked')
    expect(await log(db, 4)).toEqual([...began, done, done])
    expect(server.asked).toEqual(
      [token(2), token(1)].map((value) => ({ method: 'POST', path: '/api/auth.revoke', token: value })),
    )
    expect(await revealed(env, 'access-token')).toBe(token(3))
    await isSound(db, outcome)
    // A job may do the same again: nothing is left to revoke, so nothing is to be confirmed.
    const again = rotate(3, '--grace', '0', '--revoke')
    expect(await run(again, { env })).toMatchObject({ code: 0, stderr: expect.stringContaining('no changes made') })
    expect(server.asked).toHaveLength(2)
  })

  test('remove and secrets finish have the tokens revoked that they delete', async () => {
    const { db, env } = await start()
    await runInProcess(rotate(2, '--grace', '1h'), { env })
    server.script(token(2), slackError('token_revoked'))
    const finish = ['secrets', 'finish', 'support', 'access-token', '--revoke', '--confirm', 'support', '-o', 'id']
    const finished = await run(finish, { env })
    expect(stable(finished.stderr)).toBe(
      `${warning('an access token')}deleted every previous access-token of Acme/support, kept here until <instant> at the latest; Slack has revoked the previous access-token of Acme/support\nnext: integrations secrets list support\n`,
    )
    const removed = await run(['remove', 'support', '--revoke', '--confirm', 'support', '-o', 'id'], { env })
    expect(removed).toMatchObject({
      code: 0,
      stderr: `${warning('an access token')}removed Acme/support with its secrets and config; Slack did not accept the access-token of Acme/support any more (token_revoked)\n`,
    })
    expect(await log(db, 4)).toEqual([
      started(previous),
      'secret.finish | done | Acme/support | access_token',
      ended(previous, 'done', 'revoked'),
      started('access_token'),
      'integration.remove | done | Acme/support | webhook_secret,access_token',
      ended('access_token', 'done', 'invalid,code:token_revoked'),
    ])
    expect(server.asked.map((one) => one.token)).toEqual([token(1), token(2)])
    await isSound(db, finished, removed)
  })

  test('secrets revoke leaves the token stored, as expired, wherever it is; a second time it changes nothing', async () => {
    const { db, env } = await start()
    await addSlack(env, 'sales', '--access-token-env', 'TOKEN1', '--expires-in', '12h')
    server.script(token(1), slackRevoked, slackError('invalid_auth'))
    const revoke = (...flags: string[]) =>
      run(
        [
          'secrets',
          'revoke',
          'support',
          'access-token',
          '-o',
          'json',
          '--fields',
          'name,tokenExpiry,outcome,revocations',
          ...flags,
        ],
        { env },
      )
    const before = await contents(db)
    const dry = await revoke('--dry-run')
    expect([dry.code, JSON.parse(dry.stdout)]).toEqual([
      0,
      { name: 'support', tokenExpiry: 'never', outcome: 'would change', revocations: [] },
    ])
    expect(await contents(db)).toEqual(before)
    const first = await revoke('--confirm', 'support')
    const [support, sales] = await idsOf(db, 'support', 'sales')
    const revocation = { field: 'accessToken', state: 'current', fingerprint, outcome: 'revoked', code: null }
    const revocations = [{ ...revocation, expiredIn: [support, sales] }]
    expect({ ...first, stdout: JSON.parse(first.stdout), stderr: stable(first.stderr) }).toEqual({
      code: 0,
      stdout: { name: 'support', tokenExpiry: 'dated', outcome: 'changed', revocations },
      stderr: [
        { level: 'info', message: warning('an access token', ' Integrations with the same token: Acme/sales.').trim() },
        {
          level: 'warning',
          message: `the revoked access-token is that of Acme/sales, too, where its expiry is set to now; to replace it: integrations rotate <id> --field access-token --shared`,
        },
        { level: 'info', message: 'Slack has revoked the access-token of Acme/support; its expiry is <instant>' },
        { level: 'info', next: ['integrations rotate support --field access-token'] },
      ]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    })
    const { stdout } = await runInProcess(['list', '--expired', '--fields', 'name'], { env })
    expect(stdout).toBe('sales\nsupport\n')
    const second = await revoke('--confirm', 'support')
    expect(JSON.parse(second.stdout)).toMatchObject({
      outcome: 'unchanged',
      revocations: [{ ...revocation, outcome: 'invalid', code: 'invalid_auth', expiredIn: [support, sales] }],
    })
    expect(second.stderr).toContain('did not accept the access-token of Acme/support any more (invalid_auth)')
    expect(second.stderr).toContain('Slack also answers so when the app does not allow the address of this machine')
    expect(await log(db, 4)).toEqual([
      started('access_token'),
      ended('access_token', 'done', 'revoked'),
      'integration.update | done | Acme/support | token_expires_at',
      'integration.update | done | Acme/sales | token_expires_at',
      started('access_token'),
      ended('access_token', 'done', 'invalid,code:invalid_auth'),
    ])
    expect(await revealed(env, 'access-token')).toBe(token(1))
    await isSound(db, first, second)
  })

  test('of integrations that seemed to share the token, one to which the application gave another keeps it', async () => {
    const db = await adoptedDatabase(kind, 'off')
    const env = {
      DATABASE_URL: db.url,
      INTEGRATIONS_API_URL: server.everything,
      ...Object.fromEntries([1, 2, 3].map((n) => [`TOKEN${n}`, token(n)])),
    }
    for (const name of ['support', 'sales', 'care'])
      await run(
        [
          ...['add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, '--access-token-env', 'TOKEN1'],
          ...['--no-expiry', '-o', 'id'],
        ],
        { env },
      )
    await db.query("UPDATE integrations SET access_token = ? WHERE name = 'sales'", token(3))
    const path = ['Acme/support@slack', ...rotate(2, '--shared').slice(2)]
    expect(await run(['rotate', ...path, ...revoking], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        / Integrations with the same token: .*, whose previous access tokens are revoked too\.\n/,
      ),
    })
    expect(server.asked.map((one) => one.token)).toEqual([token(1)])
    const started = "SELECT target_name AS target FROM integration_events WHERE outcome = 'started' ORDER BY seq"
    expect(await db.query(started)).toEqual(['support', 'care'].map((name) => ({ target: `Acme/${name}` })))
    const held = await db.query("SELECT name, access_token FROM integrations WHERE platform = 'slack' ORDER BY name")
    expect(held).toEqual(
      [
        ['care', 2],
        ['sales', 3],
        ['support', 2],
      ].map(([name, n]) => ({ name, access_token: token(Number(n)) })),
    )
  })

  test('an integration with the same token that cannot be read keeps the answer from nobody', async () => {
    const { db, env } = await start()
    await addSlack(env, 'sales', '--access-token-env', 'TOKEN1', '--no-expiry')
    await db.query("UPDATE integrations SET access_token = 'something' WHERE name = 'sales'")
    const revoke = ['secrets', 'revoke', 'support', 'access-token', '--confirm', 'support']
    expect(await run(revoke, { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        'warning: the revoked access-token may be that of Acme/sales, too, where the stored value cannot be decrypted\n',
      ),
    })
    expect((await log(db, 4)).slice(1)).toEqual([
      ended('access_token', 'done', 'revoked'),
      'integration.update | done | Acme/support | token_expires_at',
    ])
  })

  test.each<[string, Script | undefined, object]>([
    [
      'refuses',
      slackError('missing_scope'),
      {
        code: 'CREDENTIAL_REFUSED',
        message: `Slack refuses to revoke ${it} (missing_scope), and still accepts it`,
        hint: byHand,
        exit: 4,
      },
    ],
    [
      'names no time in a rate limit',
      { status: 429, body: '' },
      {
        code: 'PLATFORM_FAILED',
        message: `Slack did not revoke ${it} (ratelimited), and still accepts it`,
        hint: byHand,
        exit: 7,
      },
    ],
    [
      'is not there',
      undefined,
      {
        code: 'PLATFORM_FAILED',
        message: `Slack did not revoke ${it} (connection_refused), and still accepts it`,
        hint: byHand,
        exit: 7,
      },
    ],
    ...(
      [
        ['resets the connection', (_, request) => void request.socket.resetAndDestroy(), 'connection_lost'],
        ['fails', { status: 503, body: '' }, 'http_503'],
        ['has an error of its own', slackError('internal_error'), 'internal_error'],
        ['says something else', { body: { ok: true } }, 'http_200'],
      ] satisfies [string, Script, string][]
    ).map(([name, script, code]): [string, Script, object] => [
      name,
      script,
      {
        code: 'OUTCOME_UNKNOWN',
        message: `it is unknown whether Slack has revoked ${it} (${code})`,
        hint: `check at ${page} whether the token is gone, and revoke the token by hand otherwise: its value is not stored here any more`,
        exit: 9,
      },
    ]),
  ])('the new token stays when the platform %s', async (_, script, told) => {
    const { db, env } = await start()
    if (script) server.script(token(1), script)
    const nowhere = { ...env, INTEGRATIONS_API_URL: `slack=${closed}` }
    const outcome = await run(rotate(2, ...revoking, '-o', 'json'), { env: script ? env : nowhere })
    const { error } = JSON.parse(outcome.stderr.trim().split('\n').at(-1) ?? '')
    const words = { 4: 'refused', 7: 'failed', 9: 'unknown' } as Record<number, string>
    const verdict = { state: 'previous', outcome: words[error.exit], code: expect.any(String), expiredIn: [] }
    expect([JSON.parse(outcome.stdout), error]).toEqual([
      expect.objectContaining({ outcome: 'changed', revocations: [{ field: 'accessToken', fingerprint, ...verdict }] }),
      { ...told, retryable: false, committed: true },
    ])
    expect(outcome.code).toBe(error.exit)
    expect(await revealed(env, 'access-token')).toBe(token(2))
    expect((await log(db)).slice(-2, -1)).toEqual([
      expect.stringMatching(
        /^secret\.revoke \| failed \| Acme\/support \| previous_access_token,fingerprint,outcome:(refused|failed|unknown),code:/,
      ),
    ])
    await isSound(db, outcome)
  })

  test('an answer that cannot be recorded is told, with exit code 9', async () => {
    const { db, env } = await start()
    let end = async () => {}
    server.script(token(1), async (response) => {
      end = await begin(db, "UPDATE integration_settings SET updated_at = updated_at WHERE key = 'head'")
      response.end(JSON.stringify({ ok: true, revoked: true }))
    })
    const outcome = await run([...rotate(2, ...revoking), '--wait', '500ms'], { env })
    await end()
    expect(outcome).toMatchObject({ code: 9, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) })
    expect(outcome.stderr).toMatch(
      /\nerror: Slack has revoked the previous access-token of Acme\/support; but that could not be recorded in the audit log \(.+\)\nhint: write the answer down elsewhere: the audit log says that the revocation was started\n$/,
    )
    expect((await log(db)).filter((event) => event.startsWith('secret.revoke'))).toEqual([started(previous)])
    await isSound(db, outcome)
  })

  test('a token that the application has written is revoked, and not one that it has replaced', async () => {
    const db = await freshDatabase(kind)
    await turnEncryptionOff(db)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything, TOKEN1: token(1), TOKEN2: token(2) }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN1', '--no-expiry')
    await db.query('UPDATE integrations SET access_token = ?', token(3))
    expect(await run(rotate(2, ...revoking), { env })).toMatchObject({ code: 0 })
    expect(server.asked.map((one) => one.token)).toEqual([token(3)])
    expect(await runInProcess(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
  })

  test('with --shared, a token is revoked once, and recorded of each integration that had it', async () => {
    const { db, env } = await start()
    await addSlack(env, 'sales', '--access-token-env', 'TOKEN1', '--no-expiry')
    const shared = await run(rotate(2, ...revoking, '--shared', '-o', 'json'), { env })
    const revocation = { field: 'accessToken', state: 'previous', fingerprint, outcome: 'revoked', code: null }
    expect(JSON.parse(shared.stdout)).toEqual(
      ['support', 'sales'].map((name) =>
        expect.objectContaining({ name, revocations: [{ ...revocation, expiredIn: [] }] }),
      ),
    )
    expect(shared.stderr).not.toContain('expiry is set to now')
    expect(server.asked.map((one) => one.token)).toEqual([token(1)])
    const of = (name: string, event: string) => event.replace('Acme/support', name)
    expect((await log(db, 4)).sort()).toEqual(
      ['Acme/support', 'Acme/sales']
        .flatMap((name) => [
          of(name, started(previous)),
          of(name, 'secret.rotate | done | Acme/support | access_token'),
          of(name, ended(previous, 'done', 'revoked')),
        ])
        .sort(),
    )
    expect(await revealed(env, 'access-token', 'sales')).toBe(token(2))
    await isSound(db)
  })

  test('a token that another integration still has is expired there', async () => {
    const { db, env } = await start()
    await addSlack(env, 'sales', '--access-token-env', 'TOKEN1', '--no-expiry')
    const [sales] = await idsOf(db, 'sales')
    const outcome = await run(rotate(2, ...revoking), { env })
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        `warning: the revoked access-token is that of Acme/sales, too, where its expiry is set to now; to replace it: integrations rotate ${sales} --field access-token --shared\n`,
      ),
    })
    const { stdout } = await runInProcess(['list', '--expired', '--fields', 'name'], { env })
    expect(stdout).toBe('sales\n')
    expect((await log(db, 4)).slice(-2)).toEqual([
      ended(previous, 'done', 'revoked'),
      'integration.update | done | Acme/sales | token_expires_at',
    ])
    await isSound(db, outcome)
  })

  test('of a token that is still stored, the hints are commands', async () => {
    const { env } = await start()
    server.script(token(1), slackError('ratelimited'), slackError('fatal_error'))
    const revoke = async () =>
      (await run(['secrets', 'revoke', 'support', 'access-token', '--confirm', 'support'], { env })).stderr
        .split('\n')
        .at(-2)
    expect(await revoke()).toBe('hint: integrations secrets revoke support access-token')
    expect(await revoke()).toBe('hint: integrations check support --no-fill')
  })

  test('a platform that names a time is asked again', async () => {
    const { env } = await start()
    server.script(token(1), { status: 429, headers: { 'retry-after': '1' }, body: '' }, slackRevoked)
    expect(await run(rotate(2, ...revoking), { env })).toMatchObject({ code: 0 })
    expect(server.asked).toHaveLength(2)
  })

  test('a refresh token, which no API revokes, is told of', async () => {
    const { env } = await start()
    const add = ['--access-token-env', 'TOKEN2', '--refresh-token-env', 'REFRESH', '--expires-in', '12h']
    await addSlack({ ...env, REFRESH: refreshToken() }, 'sales', ...add)
    const left =
      'Slack still accepts the refresh token of Acme/sales until its expiry or revocation: https://docs.slack.dev/authentication/using-token-rotation\n'
    for (const command of [
      ['secrets', 'revoke', 'sales', 'access-token'],
      ['remove', 'sales', '--revoke'],
    ])
      expect(await run([...command, '--confirm', 'sales', '-o', 'id'], { env })).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(left),
      })
  })

  test('what cannot be revoked is refused before anything happens', async () => {
    const { db, env: given } = await start()
    const env = { ...given, REFRESH: refreshToken(), OTHER: ['xox', 'b_other_form'].join(''), PAGER: '' }
    const add = (platform: string, name: string) =>
      runInProcess(
        [
          'add',
          '--platform',
          platform,
          '--workspace',
          'Acme',
          '--name',
          name,
          '--access-token-env',
          'OTHER',
          '--force-shape',
        ],
        { env },
      )
    for (const [platform, name] of [
      ['pylon', 'desk'],
      ['github', 'code'],
    ] as const)
      expect(await add(platform, name)).toMatchObject({ code: 0 })
    const before = await contents(db)
    const none = (title: string, label: string, at: string) =>
      `error: no API of ${title} revokes ${label}s\nhint: revoke the ${label} by hand at ${at}; without --revoke, a change is made here alone\n`
    const grace = 'error: --revoke needs --grace 0: there is no way back to a revoked token\nhint: pass --grace 0 too\n'
    const pylonPage = 'https://app.usepylon.com/settings/api-tokens'
    for (const [command, stderr] of [
      [rotate(2, '--revoke', '--confirm', 'support'), grace],
      [rotate(2, '--revoke', '--confirm', 'support', '--grace', '1h'), grace],
      [['rotate', 'support', '--field', 'webhook-secret', ...revoking], none('Slack', 'signing secret', page)],
      [rotate(2, '--webhook-secret-stdin', ...revoking), none('Slack', 'signing secret', page)],
      [
        ['rotate', 'support', '--refresh-token-env', 'REFRESH', ...revoking],
        none('Slack', 'refresh token', 'https://docs.slack.dev/authentication/using-token-rotation'),
      ],
      [
        ['secrets', 'finish', 'support', 'webhook-secret', '--revoke', '--confirm', 'support'],
        none('Slack', 'signing secret', page),
      ],
      [['secrets', 'revoke', 'support', 'webhook-secret'], none('Slack', 'signing secret', page)],
      [['secrets', 'revoke', 'desk', 'access-token'], none('Pylon', 'API token', pylonPage)],
      [['remove', 'desk', '--revoke', '--confirm', 'desk'], none('Pylon', 'API token', pylonPage)],
      [
        ['remove', 'code', '--revoke', '--confirm', 'code'],
        expect.stringMatching(
          /^error: no API of GitHub revokes a token of the form that the one with the fingerprint [0-9a-f]{16} has\n/,
        ),
      ],
      [
        rotate(2, '--grace', '0', '--confirm', 'support'),
        'error: --confirm has no effect without --revoke\nhint: pass --revoke too, or leave --confirm out\n',
      ],
    ] as const)
      expect({ command, ...(await runInProcess(command, { env, input: signingSecret(2) })) }).toEqual({
        command,
        code: 2,
        stdout: '',
        stderr,
      })
    expect([await contents(db), server.asked]).toEqual([before, []])
  })

  test('nothing is revoked without consent, which a terminal asks for', async () => {
    const { db, env } = await start()
    await addSlack(env, 'sales', '--access-token-env', 'TOKEN1', '--no-expiry')
    const before = await contents(db)
    const commands = [
      rotate(2, '--grace', '0', '--revoke'),
      ['remove', 'support', '--revoke'],
      ['secrets', 'revoke', 'support', 'access-token'],
    ]
    for (const command of commands)
      expect(await runInProcess(command, { env })).toMatchObject({
        code: 2,
        stdout: '',
        stderr:
          'error: --confirm is required when prompts are off or there is no terminal\nhint: pass --confirm support\n',
      })
    expect(
      await runInProcess(['rotate', 'support', '--field', 'access-token', '--grace', '0', '--revoke'], { env }),
    ).toMatchObject({
      code: 2,
      stderr:
        'error: --access-token-stdin and --confirm are required when prompts are off or there is no terminal\nhint: pass --access-token-stdin, -file or -env and --confirm support\n',
    })
    const [first = []] = commands
    const ask = (answer: string) =>
      runInTerminal(first, [['Type support to confirm', `${answer}\r`]], { env, columns: 300 })
    const refused = await ask('sales')
    expect(refused.code).toBe(130)
    expect(refused.screen).toContain(
      `${warning('an access token', ' Integrations with the same token: Acme/sales.').trim()} The database is `,
    )
    expect([await contents(db), server.asked]).toEqual([before, []])
    expect(await ask('support')).toMatchObject({ code: 0 })
    expect(server.asked).toHaveLength(1)
  })

  test('without --revoke, it is said that the platform accepts the token, unless it has expired', async () => {
    const { db, env } = await start()
    const accepts = 'Slack still accepts it until its expiry or revocation'
    expect((await run(rotate(2, '--grace', '0'), { env })).stderr).toContain(accepts)
    await db.query("UPDATE integrations SET token_expires_at = '2026-01-02 03:04:05'")
    expect((await run(rotate(3, '--grace', '0'), { env })).stderr).toContain(
      '; the previous access-token is deleted here\n',
    )
    await db.query("UPDATE integrations SET token_expires_at = '2026-01-02 03:04:05'")
    expect(await run(['remove', 'support', '--confirm', 'support', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: 'removed Acme/support with its secrets and config\n',
    })
  })
})

/** Starts the program, and does something to it once the platform is asked. @returns how it ended */
async function interrupted(args: readonly string[], env: Record<string, string>, signal: NodeJS.Signals) {
  const child = spawn(process.execPath, [bin, ...args], { env: environment(env), stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  server.script(token(1), (response) => {
    child.kill(signal)
    if (signal !== 'SIGKILL') setTimeout(() => response.end(JSON.stringify({ ok: true, revoked: true })), 200)
  })
  const [code] = await once(child, 'close')
  return { code, stderr }
}

describe.each(kinds)('a process that is ended while it waits for the platform, on %s', (kind) => {
  test.each<[NodeJS.Signals, number | null, readonly string[]]>([
    ['SIGKILL', null, ['started']],
    ['SIGINT', 130, ['started', 'done']],
  ])('%s', async (signal, code, outcomes) => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything, OLD: token(1), NEW: token(2) }
    await addSlack(env, 'support', '--access-token-env', 'OLD', '--no-expiry')
    const args = ['rotate', 'support', '--access-token-env', 'NEW', '--no-expiry', '--grace', '0', '--revoke']
    const ended = await interrupted([...args, '--confirm', 'support'], env, signal)
    expect(ended.code).toBe(code)
    expect(ended.stderr.includes('stopping once the platform has answered')).toBe(code !== null)
    expect(await revealed(env, 'access-token')).toBe(token(2))
    expect(
      await db.query("SELECT outcome FROM integration_events WHERE action = 'secret.revoke' ORDER BY seq"),
    ).toEqual(outcomes.map((outcome) => ({ outcome })))
    expect(await runInProcess(['audit', 'verify'], { env })).toMatchObject({ code: 0 })
    const fields = ['-o', 'json', '--fields', 'field,number,revocation']
    const { stdout } = await runInProcess(['secrets', 'list', 'support', ...fields], { env })
    expect(JSON.parse(stdout)).toEqual([
      { field: 'access-token', number: 2, revocation: null },
      { field: 'access-token', number: 1, revocation: code === null ? 'started' : 'revoked' },
      { field: 'webhook-secret', number: 1, revocation: null },
    ])
  })

  test('a report tells that the outcome is unknown, until the platform was asked again', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything, OLD: token(1) }
    const id = await addSlack(env, 'support', '--access-token-env', 'OLD', '--no-expiry')
    const revoke = ['secrets', 'revoke', id, 'access-token']
    await interrupted([...revoke, '--confirm', 'support'], env, 'SIGKILL')
    const found = async () => {
      const flags = ['-o', 'json', '--fail-on', 'never', '--fields', 'severity,code,id,next']
      const { stdout } = await runInProcess(['report', '--finding', 'revocation-outcome-unknown', ...flags], { env })
      return JSON.parse(stdout)
    }
    // Another process may still be asking.
    expect(await found()).toEqual([])
    const [{ at } = {}] = await db.query(
      'SELECT CAST(at AS text) AS at FROM integration_events ORDER BY seq DESC LIMIT 1',
    )
    await changeNewestEvent(db, 'at', new Date(Date.now() - 3_600_000).toISOString().replace('Z', '+00:00'))
    const next = `integrations ${revoke.join(' ')}`
    expect(await found()).toEqual([{ severity: 'error', code: 'revocation-outcome-unknown', id, next }])
    await changeNewestEvent(db, 'at', String(at))
    server.script(token(1), { body: { ok: true, revoked: true } })
    expect(await runInProcess([...revoke, '--confirm', 'support'], { env })).toMatchObject({ code: 0 })
    expect(await found()).toEqual([])
  })
})

test.each([
  ['gh' + 'p', 'POST', '/credentials/revoke', 'has accepted the request to revoke'],
  ['gh' + 'o', 'POST', '/credentials/revoke', 'has accepted the request to revoke'],
  ['gh' + 'u', 'POST', '/credentials/revoke', 'has accepted the request to revoke'],
  ['github' + '_pat', 'POST', '/credentials/revoke', 'has accepted the request to revoke'],
  ['gh' + 's', 'DELETE', '/installation/token', 'has revoked'],
])('GitHub is asked to revoke %s_… by %s %s', async (prefix, method, path, words) => {
  const value = [prefix, '_', String(base).padStart(36, 'a')].join('')
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything, TOKEN: value }
  await runInProcess(
    ['add', '--platform', 'github', '--new-workspace', 'Acme', '--name', 'code', '--access-token-env', 'TOKEN'],
    { env },
  )
  const revoke = () =>
    runInProcess(['secrets', 'revoke', 'code', 'access-token', '--confirm', 'code', '-o', 'id'], { env })
  expect(await revoke()).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`GitHub ${words} the access-token of Acme/code`),
  })
  expect(server.asked).toEqual([{ method, path, token: value }])
  server.script(value, { status: 403, headers: { 'x-ratelimit-remaining': '0' }, body: {} }, { status: 422, body: {} })
  expect([(await revoke()).code, (await revoke()).code]).toEqual([7, 4])
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import {
  type PlatformServer,
  pylonError,
  slackError,
  slackOk,
  startPlatformServer,
} from '../support/platform-server.ts'
import { type Outcome, runProgram } from '../support/program.ts'
import { botToken, stable } from '../support/samples.ts'
import { revealed } from '../support/slack-integration.ts'
import { turnEncryptionOff } from '../support/state.ts'

let server: PlatformServer
beforeAll(async () => {
  server = await startPlatformServer()
})
afterAll(() => server.close())

/** Another token for every number, and for every run of a test. */
let base = 0
beforeEach(() => {
  base += 100
  server.asked.length = 0
})
const token = (n: number) => botToken(base + n)

const environment = (db: TestDatabase) => ({ DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything })

/** Adds an integration with a token. */
async function add(db: TestDatabase, name: string, value: string | undefined, ...flags: string[]): Promise<string> {
  const platform = flags.includes('--platform') ? [] : ['--platform', 'slack']
  const workspace = (await db.query('SELECT 1 AS x FROM workspaces')).length > 0 ? '--workspace' : '--new-workspace'
  const args = ['add', ...platform, workspace, 'Acme', '--name', name, ...flags, '-o', 'id']
  const { code, stdout, stderr } = await runInProcess(
    [...args, ...(value === undefined ? [] : ['--access-token-stdin'])],
    {
      env: environment(db),
      input: value ?? '',
    },
  )
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return stdout.trim()
}

const events = async (db: TestDatabase, since = 0) =>
  (
    await db.query(
      `SELECT action, outcome, target_name AS target, fields, version_before AS before_it, version_after AS after_it
        FROM integration_events WHERE seq > ? ORDER BY seq`,
      since,
    )
  ).map((event) =>
    Object.values(event)
      .filter((value) => value !== null)
      .join(' | '),
  )

const rows = async (db: TestDatabase) =>
  (
    await db.query(
      `SELECT i.name, i.slack_team_id AS team, i.slack_team_name AS team_name, i.slack_bot_user_id AS bot, i.pylon_account_id AS organization,
        CAST(i.token_expires_at AS TEXT) AS ends, v.version
        FROM integrations i LEFT JOIN integration_versions v ON v.integration_id = i.id ORDER BY i.name`,
    )
  ).map((row) => ({ ...row, version: Number(row.version) }))

const lastEvent = async (db: TestDatabase) =>
  Number((await db.query('SELECT max(seq) AS seq FROM integration_events'))[0]?.seq)

const error = (stderr: string) => JSON.parse(stderr.split('\n').at(-2) ?? '').error

const nowhere = async (db: TestDatabase, ...outcomes: Outcome[]) => {
  const text = JSON.stringify([await contents(db), outcomes])
  for (let n = 0; n < 10; n++) expect(text).not.toContain(token(n))
}

describe.each(kinds)('check on %s', (kind) => {
  const program = runInProcess
  const api = () => `api_url:slack=${server.url}api/`

  test('asks about each token, fills in what is empty, and says who was asked in the audit log', async () => {
    const db = await freshDatabase(kind)
    const env = environment(db)
    const empty = await add(db, 'empty', token(1))
    const full = await add(
      db,
      'full',
      token(2),
      ...['--slack-team-id', 'T012345', '--slack-team-name', 'Old Name', '--slack-bot-user-id', 'U999', '--no-expiry'],
    )
    const desk = await add(db, 'desk', token(3), '--platform', 'pylon', '--force-shape')
    const none = await add(db, 'none', undefined)
    server.script(token(1), slackOk({ expires_in: 43_200 }, 'chat:write,users:read'))
    const since = await lastEvent(db)

    const kept = await program(['check', 'empty', 'desk', '--no-fill', '--fields', 'name,verdict,filled'], { env })
    expect(kept).toEqual({ code: 0, stdout: 'empty\tok\t[]\ndesk\tok\t[]\n', stderr: 'checked: 2 ok\n' })
    expect((await rows(db)).map(({ version }) => version)).toEqual([1, 1, 1, 1])

    const before = Date.now()
    const outcome = await program(['check', '--all', '-o', 'json'], { env })
    const { expiresAt } = JSON.parse(outcome.stdout)[1]
    expect({ ...outcome, stdout: JSON.parse(outcome.stdout), stderr: error(outcome.stderr) }).toEqual({
      code: 8,
      stdout: [
        {
          ...{ id: desk, workspace: 'Acme', name: 'desk', platform: 'pylon', verdict: 'ok', code: null, reason: null },
          ...{ findings: [], filled: ['pylonAccountId'], ids: { pylonAccountId: 'org-1' } },
          ...{ scopes: null, expiresAt: null },
        },
        {
          ...{
            id: empty,
            workspace: 'Acme',
            name: 'empty',
            platform: 'slack',
            verdict: 'ok',
            code: null,
            reason: null,
          },
          findings: [],
          filled: ['slackTeamId', 'slackTeamName', 'slackBotUserId', 'tokenExpiresAt'],
          ids: { slackTeamId: 'T012345', slackTeamName: 'Acme Inc', slackBotUserId: 'U012345' },
          ...{ scopes: ['chat:write', 'users:read'], expiresAt: expect.any(String) },
        },
        {
          ...{ id: full, workspace: 'Acme', name: 'full', platform: 'slack', verdict: 'ok', code: null, reason: null },
          findings: [{ field: 'slackBotUserId', stored: 'U999', platform: 'U012345' }],
          filled: [],
          ids: { slackTeamId: 'T012345', slackTeamName: 'Acme Inc', slackBotUserId: 'U012345' },
          ...{ scopes: null, expiresAt: null },
        },
        {
          ...{ id: none, workspace: 'Acme', name: 'none', platform: 'slack', verdict: 'unknown', code: 'no_token' },
          ...{
            reason: 'the integration has no access token',
            findings: [],
            filled: [],
            ids: {},
            scopes: null,
            expiresAt: null,
          },
        },
      ],
      stderr: {
        code: 'CHECK_FAILED',
        message: 'checked: 3 ok, 1 unknown, 1 with findings',
        hint: 'check code, findings and reason (-o json); integrations update <ref> corrects a difference between stored data and the platform',
        ...{ exit: 8, retryable: false, committed: true },
      },
    })
    expect(Math.abs(Date.parse(expiresAt) - before - 43_200_000)).toBeLessThan(60_000)
    const nothing = { team: null, team_name: null, bot: null, organization: null, ends: null }
    expect(await rows(db)).toEqual([
      { ...nothing, name: 'desk', organization: 'org-1', version: 2 },
      {
        ...nothing,
        name: 'empty',
        team: 'T012345',
        team_name: 'Acme Inc',
        bot: 'U012345',
        // PostgreSQL leaves zeros at the end out.
        ends: expect.stringContaining(expiresAt.slice(11, 23).replace(/\.?0+$/, '')),
        version: 2,
      },
      { ...nothing, name: 'full', team: 'T012345', team_name: 'Old Name', bot: 'U999', version: 1 },
      { ...nothing, name: 'none', version: 1 },
    ])
    const log = await events(db, since)
    const pylonApi = `api_url:pylon=${server.url}`
    const asked = (name: string, address: string) => [
      `platform.check | started | Acme/${name} | access_token,${address}`,
      `platform.check | done | Acme/${name} | access_token,verdict:ok,${address}`,
    ]
    expect(log.toSorted()).toEqual(
      [
        ...asked('empty', api()),
        ...asked('desk', pylonApi),
        ...asked('empty', api()),
        ...asked('desk', pylonApi),
        ...asked('full', api()),
        'integration.fill | done | Acme/desk | pylon_account_id | 1 | 2',
        'integration.fill | done | Acme/empty | slack_team_id,slack_team_name,slack_bot_user_id,token_expires_at | 1 | 2',
      ].toSorted(),
    )
    const position = (...parts: string[]) => log.findLastIndex((event) => parts.every((part) => event.includes(part)))
    expect(position('started', 'empty')).toBeLessThan(position('fill', 'empty'))
    expect(position('fill', 'empty')).toBeLessThan(position('verdict', 'empty'))
    expect(server.asked.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual([
      ...Array(2).fill('GET /me'),
      ...Array(3).fill('POST /api/auth.test'),
    ])

    // All of it is there now.
    const again = await program(['check', 'empty', 'desk'], { env })
    expect({ ...again, stdout: stable(again.stdout) }).toEqual({
      code: 0,
      stdout: 'Acme\tempty\tslack\tok\t\t[]\t[]\t<id>\nAcme\tdesk\tpylon\tok\t\t[]\t[]\t<id>\n',
      stderr: 'checked: 2 ok\n',
    })
    expect(await program(['audit', 'verify', '--fields', 'ok'], { env })).toMatchObject({ code: 0 })
    await nowhere(db, kept, outcome, again)
  })

  test('ends with the worst, and a table says for each what is wrong', async () => {
    const db = await freshDatabase(kind)
    const env = environment(db)
    await add(db, 'a-refused', token(1))
    await add(db, 'b-expired', token(2))
    await add(db, 'c-limited', token(3), '--platform', 'pylon', '--force-shape')
    await add(db, 'd-broken', token(4))
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name, access_token) SELECT 'theirs', workspace_id, 'other', 'e-theirs', 'x' FROM integrations WHERE name = 'a-refused'",
    )
    await add(db, 'f-other-team', token(5), '--slack-team-id', 'T999')
    server.script(token(1), slackError('invalid_auth'))
    server.script(token(2), slackError('token_expired'))
    server.script(token(3), pylonError(403, 'permission_denied'))
    server.script(token(4), (_, request) => void request.socket.resetAndDestroy())
    const run = (...args: string[]) => program(['check', ...args], { env })
    const since = await lastEvent(db)

    const table = await run('--all', '-o', 'table', '--no-fill', '--fields', 'name,verdict,code,findings')
    expect(table).toEqual({
      code: 7,
      stdout: `NAME          VERDICT      CODE               FINDINGS
a-refused     refused      invalid_auth
b-expired     expired      token_expired
c-limited     limited      permission_denied
d-broken      unreachable  connection_lost
e-theirs      unknown      unknown_platform
f-other-team  ok                              slackTeamId is T999, the platform reports T012345
`,
      stderr: `error: checked: 1 refused, 1 expired, 1 limited, 1 unreachable, 1 unknown, 1 ok, 1 with findings
hint: try again later; the code names the reason
`,
    })
    const log = await events(db, since)
    expect(log.filter((event) => event.includes('d-broken'))).toEqual([
      `platform.check | started | Acme/d-broken | access_token,${api()}`,
      `platform.check | failed | Acme/d-broken | access_token,verdict:unreachable,${api()}`,
    ])
    expect(log.filter((event) => event.includes('e-theirs'))).toEqual([])
    const codes: (number | null)[] = []
    for (const refs of [['a-refused', 'f-other-team'], ['b-expired'], ['c-limited'], ['f-other-team']])
      codes.push((await run(...refs, '--no-fill')).code)
    expect(codes).toEqual([4, 4, 8, 8])

    // One value that does not open keeps no other from being checked.
    await db.query("UPDATE integrations SET access_token = 'plain' WHERE name = 'c-limited'")
    const broken = await run('a-refused', 'c-limited', '-o', 'jsonl', '--fields', 'name,verdict,code')
    expect({ ...broken, stderr: error(broken.stderr) }).toMatchObject({
      code: 6,
      stdout:
        '{"name":"a-refused","verdict":"refused","code":"invalid_auth"}\n{"name":"c-limited","verdict":"unknown","code":"DECRYPTION_FAILED"}\n',
      stderr: { code: 'DECRYPTION_FAILED', committed: false },
    })
    await nowhere(db, table, broken)
  })

  test('asks eight at a time, in any order, and answers in one', async () => {
    const db = await freshDatabase(kind)
    await add(db, 'n-29', token(1))
    const template = "FROM integrations WHERE name = 'n-29'"
    // Of these, the token is the application's own matter.
    await turnEncryptionOff(db)
    for (let n = 0; n < 29; n++)
      await db.query(
        `INSERT INTO integrations (id, workspace_id, platform, name, access_token) SELECT 'n-${n}', workspace_id, 'slack', ?, ? ${template}`,
        `n-${String(n).padStart(2, '0')}`,
        token(2),
      )
    let answered = 0
    server.script(token(2), (response) => {
      // The first are the last.
      setTimeout(() => response.end(JSON.stringify({ ok: true, team_id: 'T012345' })), 200 - 5 * answered++)
    })
    server.script(token(1), { status: 429, headers: { 'retry-after': '2' }, body: '' }, slackOk())
    const outcome = await program(['check', '--all', '--fields', 'name,verdict'], { env: environment(db) })
    expect(outcome).toEqual({
      code: 0,
      stdout: Array.from({ length: 30 }, (_, n) => `n-${String(n).padStart(2, '0')}\tok\n`).join(''),
      stderr: 'checked: 30 ok\n',
    })
    expect(server.most()).toBe(8)
    expect(server.asked.length).toBe(31)
    const begun =
      "SELECT DISTINCT CAST(count(*) AS INTEGER) AS events FROM integration_events WHERE outcome = 'started' GROUP BY request_id"
    expect(await db.query(begun)).toEqual([{ events: 30 }])
    expect(await program(['check', 'n-29', '--wait', '500ms'], { env: environment(db) })).toMatchObject({
      code: 0,
    })
    server.script(token(1), { status: 429, headers: { 'retry-after': '2' }, body: '' })
    expect(
      await program(['check', 'n-29', '--wait', '500ms', '--fields', 'verdict,code'], { env: environment(db) }),
    ).toMatchObject({ code: 7, stdout: 'unreachable\tratelimited\n' })
  })

  test('a change meanwhile wins over what would be filled in', async () => {
    const db = await freshDatabase(kind)
    const env = environment(db)
    await add(db, 'renamed', token(1))
    await add(db, 'rotated', token(2))
    await add(db, 'written', token(3))
    await add(db, 'removed', token(4))
    const waiting: (() => void)[] = []
    for (const n of [1, 2, 3, 4])
      server.script(token(n), (response) => {
        waiting.push(() => response.end(JSON.stringify({ ok: true, team_id: 'T012345', team: 'Acme Inc' })))
      })
    const checking = program(['check', '--all', '--fields', 'name,verdict,filled'], { env })
    while (waiting.length < 4) await sleep(20)
    await program(['update', 'renamed', '--slack-team-name', 'Mine'], { env })
    await program(['rotate', 'rotated', '--access-token-stdin', '--grace', '0'], { env, input: token(5) })
    await db.query("UPDATE integrations SET slack_team_name = 'Theirs' WHERE name = 'written'")
    await program(['remove', 'removed', '--confirm', 'removed'], { env })
    for (const answer of waiting) answer()
    expect(await checking).toEqual({
      code: 0,
      stdout: 'removed\tok\t[]\nrenamed\tok\t[]\nrotated\tok\t[]\nwritten\tok\t["slackTeamId"]\n',
      stderr: 'checked: 4 ok\n',
    })
    const nothing = { team: null, team_name: null, bot: null, organization: null, ends: null }
    expect(await rows(db)).toEqual([
      { ...nothing, name: 'renamed', team_name: 'Mine', version: 2 },
      { ...nothing, name: 'rotated', version: 2 },
      { ...nothing, name: 'written', team: 'T012345', team_name: 'Theirs', version: 2 },
    ])
    // Nor does the change of another program become this one's.
    const { problems } = JSON.parse((await program(['audit', 'verify', '-o', 'json'], { env })).stdout)
    expect(problems).toMatchObject([{ name: 'Acme/written', columns: ['slack_team_name'] }])
  })

  test('add and rotate --check store no token that the platform refuses, or that is of another team', async () => {
    const db = await freshDatabase(kind)
    const env = environment(db)
    await program(['workspaces', 'add', 'Acme'], { env })
    server.script(token(1), slackError('invalid_auth'))
    server.script(token(2), (_, request) => void request.socket.resetAndDestroy())
    server.script(token(3), slackOk({ expires_in: 43_200 }))
    server.script(token(4), slackError('missing_scope'))
    server.script(token(6), slackOk({ team_id: 'T777' }))
    server.script(token(7), slackError('brand_new'))
    const outcomes: Outcome[] = []
    const run = async (n: number, ...args: string[]) => {
      const outcome = await program([...args, '--access-token-stdin', '--check', '-o', 'id'], {
        env,
        input: token(n),
      })
      outcomes.push(outcome)
      return { ...outcome, stderr: stable(outcome.stderr) }
    }
    const adding = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support']
    const started = `platform.check | started | Acme/support | access_token,${api()}`
    const ended = (outcome: string, verdict: string) =>
      `platform.check | ${outcome} | Acme/support | access_token,verdict:${verdict},${api()}`

    const since = await lastEvent(db)
    expect(await run(1, ...adding)).toEqual({
      code: 4,
      stdout: '',
      stderr: `error: Slack refuses the token (invalid_auth)\nhint: check that it is the right token, or issue a new token at https://api.slack.com/apps; nothing was changed\n`,
    })
    expect(await run(2, ...adding)).toEqual({
      code: 7,
      stdout: '',
      stderr: `error: Slack could not be asked about the token (connection_lost)\nhint: try again later, or omit --check; nothing was changed\n`,
    })
    expect(await run(3, ...adding, '--slack-team-id', 'T999')).toEqual({
      code: 8,
      stdout: '',
      stderr: `error: the token belongs to the Slack team or enterprise id T012345, and the integration to T999\nhint: check that it is the right token, or correct the integration with integrations update; nothing was changed\n`,
    })
    expect(await events(db, since)).toEqual([
      ...[started, ended('done', 'refused'), started, ended('failed', 'unreachable'), started, ended('done', 'ok')],
    ])
    expect(await rows(db)).toEqual([])
    expect(await db.query('SELECT * FROM integration_secrets')).toEqual([])

    expect(await run(3, ...adding)).toMatchObject({ code: 0 })
    const [added] = await rows(db)
    expect(added).toEqual({
      ...{ name: 'support', team: 'T012345', team_name: 'Acme Inc', bot: 'U012345', organization: null },
      ...{ ends: expect.any(String), version: 1 },
    })
    // What would be refused anyway is refused before anybody is asked.
    const asked = server.asked.length
    expect(await run(3, ...adding)).toMatchObject({ code: 5, stderr: expect.stringContaining('already') })
    expect(
      await program(['rotate', 'support', '--webhook-secret-env', 'S', '--check', '--grace', '0'], {
        env: { ...env, S: 'ab'.repeat(16) },
      }),
    ).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: --check needs an access token\nhint: pass the token too, as in --access-token-stdin, or omit --check\n',
    })
    expect(server.asked.length).toBe(asked)

    const rotating = ['rotate', 'support', '--grace', '0']
    const before = [await rows(db), await db.query('SELECT access_token FROM integrations')]
    expect(await run(1, ...rotating)).toMatchObject({ code: 4 })
    expect(await run(2, ...rotating)).toMatchObject({ code: 7 })
    expect(await run(6, ...rotating)).toMatchObject({
      code: 8,
      stderr: expect.stringContaining(
        'the token belongs to the Slack team or enterprise id T777, and the integration to T012345',
      ),
    })
    expect(await run(7, ...rotating)).toEqual({
      code: 8,
      stdout: '',
      stderr:
        'error: Slack gives an undocumented answer about the token (brand_new)\nhint: omit --check if the token is right; nothing was changed\n',
    })
    expect([await rows(db), await db.query('SELECT access_token FROM integrations')]).toEqual(before)
    const { code, stderr } = await run(4, ...rotating)
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('warning: Slack accepts the token, with limited permissions (missing_scope)\n'),
    })
    expect(await revealed(env, 'access-token')).toBe(token(4))
    expect(await events(db, since).then((all) => all.slice(-4, -1))).toEqual([
      ...[
        started,
        ended('done', 'limited'),
        expect.stringMatching(/^secret.rotate \| done \| Acme\/support \| access_token/),
      ],
    ])
    await nowhere(db, ...outcomes)
  })
})

test('rotate --check overwrites no change that was made while the platform was asked', async () => {
  const db = await freshDatabase('sqlite')
  await add(db, 'support', token(1))
  const env = environment(db)
  server.script(token(2), async (response) => {
    await runInProcess(['disable', 'support'], { env })
    response.end(JSON.stringify({ ok: true, team_id: 'T012345', user_id: 'U012345' }))
  })
  const args = ['rotate', 'support', '--access-token-stdin', '--grace', '0', '--check']
  const outcome = await runInProcess(args, { env, input: token(2) })
  expect({ ...outcome, stderr: stable(outcome.stderr) }).toEqual({
    code: 5,
    stdout: '',
    stderr:
      'error: Acme/support is at version 2, not 1\nhint: check what changed with integrations show <id>, and try again\n',
  })
  expect(await revealed(env, 'access-token')).toBe(token(1))
})

test('an address for a platform is refused before anything is done', async () => {
  const db = await freshDatabase('sqlite')
  await add(db, 'support', token(1))
  const before = await contents(db)
  const run = (args: string[], url = '') =>
    runProgram(args, { env: { DATABASE_URL: db.url, INTEGRATIONS_API_URL: url } })
  const refusals = await Promise.all([
    run(['check', 'support', '--api-url', 'slack=http://example.com/']),
    run(['check', 'support', '--api-url', 'slack=https://me:hidden@example.com/', '-o', 'json']),
    run(['check', 'support', '--api-url', 'linear=https://example.com/']),
    run(['check', 'support'], 'slack=http://169.254.169.254/'),
    run(['check', 'support', 'support', '--all']),
    run(['check', 'support', '--platform', 'slack']),
    run(['check']),
    ...[
      ['rotate', 'support'],
      ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'other'],
    ].map((words) => run([...words, '--access-token-stdin', '--api-url', `slack=${server.url}api`])),
  ])
  expect(refusals.map(({ code, stdout }) => [code, stdout])).toEqual(Array(9).fill([2, '']))
  expect(refusals.map(({ stderr }) => stderr)).toEqual([
    'error: the API URL of slack is not encrypted\nhint: use https; http is for 127.0.0.1, ::1 and localhost\n',
    '{"level":"error","error":{"code":"BAD_INPUT","message":"the API URL of slack contains a user name or a password","hint":"write it as in slack=https://example.com/api/","exit":2,"retryable":false,"committed":false}}\n',
    expect.stringMatching(/^error: there is no platform "linear"\n/),
    'error: the API URL of slack is not encrypted\nhint: use https; http is for 127.0.0.1, ::1 and localhost\n',
    'error: integrations are given both by reference and by --all\nhint: pass references or --all, not both\n',
    'error: integrations are given both by reference and by filter\nhint: pass references or filters, not both\n',
    'error: no integrations are given\nhint: name integrations, pass --all, or pass a filter such as --platform slack\n',
    ...['--check or --revoke', '--check'].map(
      (flags) => `error: --api-url has no effect without ${flags}\nhint: pass ${flags} too, or leave --api-url out\n`,
    ),
  ])
  expect(await contents(db)).toEqual(before)
  // The flag goes before the variable, for its platform.
  const outcome = await run(
    ['check', 'support', '--api-url', `slack=${server.url}api`, '--fields', 'verdict'],
    'slack=http://127.0.0.1:1/,pylon=http://127.0.0.1:1/',
  )
  expect(outcome).toEqual({ code: 0, stdout: 'ok\n', stderr: 'checked: 1 ok\n' })
})

import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { Sql } from 'sql-template-tag'
import { describe, expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { keyFor, parseKeySet, type RootKey } from '../../src/crypto/key-set.ts'
import { keyFile } from '../../src/keys/file.ts'
import { changeMode } from '../../src/operations/keys/mode.ts'
import { finishSecret } from '../../src/operations/secrets/finish.ts'
import { purgeSecrets, revertSecret } from '../../src/operations/secrets/history.ts'
import { readSecrets } from '../../src/operations/secrets/read.ts'
import { platformIds } from '../../src/platforms/platforms.ts'
import { type AuditEvent, eventColumns, eventHash } from '../../src/store/audit/events.ts'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'
import { openStore } from '../../src/store/open.ts'
import { type StoreOptions, withDatabase } from '../../src/store/schema/ready.ts'
import type { Store } from '../../src/store/store.ts'
import { freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, type Outcome, runInTerminal, runProgram } from '../support/program.ts'
import { botToken, signingSecret, stable } from '../support/samples.ts'
import { turnEncryptionOff, vouchFor } from '../support/state.ts'

const keys = process.env.INTEGRATIONS_TEST_KEYS ?? ''
const auditKey = () => keyFor(parseKeySet(readFileSync(keys, 'utf8'), keys), 'audit') as RootKey

/** A database with one integration in it, whose events are keys.init, workspace.add and integration.add. */
async function start(kind: Kind, mode: 'required' | 'off' = 'required') {
  const db = await freshDatabase(kind)
  if (mode === 'off') await turnEncryptionOff(db)
  const env = { DATABASE_URL: db.url, TOKEN: botToken(1), NEW_TOKEN: botToken(2) }
  const run = async (command: string, input = ''): Promise<Outcome> => {
    const outcome = await runInProcess(command.split(' '), { env, input })
    expect(outcome, command).toMatchObject({ code: 0 })
    return outcome
  }
  await run(
    'add --platform slack --new-workspace Acme --name support --slack-team-id T012AB3CD --webhook-secret-stdin --access-token-env TOKEN --no-expiry',
    signingSecret(1),
  )
  return { db, env, run, verify: (...args: string[]) => verify(db, ...args) }
}

/** What `audit verify` says of the log and of current secrets, as JSON, with the exit code; of rows and triggers, others tell. */
async function verify(db: TestDatabase, ...args: string[]) {
  const { code, stdout, stderr } = await runInProcess(['audit', 'verify', '-o', 'json', ...args], {
    env: { DATABASE_URL: db.url },
  })
  if (stdout === '') return { code, stderr }
  const { changedByApplication, ...all } = JSON.parse(stdout)
  const problems = all.problems.filter((one: object) => !('trigger' in one) && !('columns' in one))
  const ok = problems.length === 0
  return { code: code === 8 && ok ? 0 : code, ok, problems, changedByApplication }
}

const whole = { code: 0, ok: true, problems: [], changedByApplication: [] }
const broken = (...problems: object[]) => ({ code: 8, ok: false, problems, changedByApplication: [] })

/** Lets the owner of the database change the log. */
async function disarm(db: TestDatabase): Promise<void> {
  if (db.kind === 'postgresql') await db.query('ALTER TABLE integration_events DISABLE TRIGGER USER')
  else for (const rule of ['update', 'delete', 'replace']) await db.query(`DROP TRIGGER integration_events_no_${rule}`)
}

const storeOptions = (db: TestDatabase): StoreOptions => ({
  database: parseDatabaseUrl(db.url, { cwd: '/', env: {} }),
  wait: 30_000,
  create: false,
  notice: () => {},
  readOnly: false,
  keys: keyFile(keys, process.getuid?.()),
  platforms: platformIds,
  attribution: {
    ciIdentity: null,
    osUser: 'ana',
    host: 'laptop',
    pid: 7,
    declaredAs: null,
    reason: null,
    programVersion: '0',
  },
})

/** Opens a database in this process, where it is not a command that is tested. */
async function open(db: TestDatabase): Promise<Store> {
  const store = await openStore(storeOptions(db))
  onTestFinished(() => store.close())
  return store
}

describe.each(kinds)('the audit log on %s', (kind) => {
  const program = runInProcess

  test('tells of every change, and of nothing else', async () => {
    const { db, env, run, verify } = await start(kind)
    const grace = '--webhook-secret-stdin --grace 24h'
    await run('users add ana@example.com --as Ana')
    await run('update support --slack-team-name Acme --created-by ana@example.com --reason ticket-7')
    await run('update support --slack-team-name Acme')
    await run('disable support')
    await run('enable support')
    await run('toggle support --dry-run')
    await run('toggle support')
    await run('config set support slackEvents=["message"] --as Bo --reason more')
    await run('config set support slackEvents=["message"]')
    await run('config unset support slackEvents')
    await run('add --platform slack --workspace Acme --name sales --webhook-secret-stdin', signingSecret(1))
    await run(`rotate support ${grace} --shared`, signingSecret(2))
    expect(await program(`rotate support ${grace}`.split(' '), { env, input: signingSecret(4) })).toMatchObject({
      code: 5,
    })
    await run(`rotate support ${grace} --end-previous`, signingSecret(3))
    await run('rotate support --access-token-env NEW_TOKEN --expires-in 12h --grace 0')
    const store = await open(db)
    await finishSecret(store, 'sales', { field: 'webhookSecret', whenUnused: 0, force: true })
    await revertSecret(store, 'support', { field: 'webhookSecret' })
    await readSecrets(store, 'support', { fields: ['accessToken'], action: 'secret.reveal' })
    await readSecrets(store, 'support', { fields: [], action: 'secret.exec' })
    await db.query("UPDATE integration_secrets SET valid_until = '2026-01-01 00:00:00' WHERE sealed IS NOT NULL")
    await purgeSecrets(store, { dryRun: true })
    await purgeSecrets(store, { dryRun: false })
    await purgeSecrets(store, { dryRun: false })
    await run('users remove ana@example.com --confirm ana@example.com')
    await run('remove support --confirm support')
    await run('workspaces rename Acme Apex')
    await run('workspaces add Solo')
    await run('workspaces remove Apex --confirm Apex')

    const { stdout } = await run('audit list --sort seq --all -o json')
    const events: (Record<string, unknown> & { fingerprints: Record<string, string | null>[] })[] = JSON.parse(stdout)
    // Fingerprints by the order in which they come.
    const prints = new Map<unknown, string>([[null, '-']])
    const letter = (print: unknown) => {
      if (!prints.has(print)) prints.set(print, String.fromCharCode(64 + prints.size))
      return prints.get(print)
    }
    const told = events.map((event) =>
      [
        event.action,
        event.targetName ?? event.targetType,
        (event.fields as string[]).join(),
        event.fingerprints.map(({ field, from, to }) => `${field} ${letter(from)}>${letter(to)}`).join(),
        `${event.versionBefore ?? ''}>${event.versionAfter ?? ''}`,
        [event.outcome, event.count, event.declaredAs, event.reason].join(),
      ].join(' | '),
    )
    expect(told).toEqual([
      'keys.init | database | required |  | > | done,,,',
      'workspace.add | Acme |  |  | > | done,,,',
      'integration.add | Acme/support | webhook_secret,access_token | webhook_secret ->A,access_token ->B | 0>1 | done,,,',
      'user.add | ana@example.com |  |  | > | done,,Ana,',
      'integration.update | Acme/support | created_by,slack_team_name |  | 1>2 | done,,,ticket-7',
      'integration.disable | Acme/support | is_active |  | 2>3 | done,,,',
      'integration.enable | Acme/support | is_active |  | 3>4 | done,,,',
      'integration.disable | Acme/support | is_active |  | 4>5 | done,,,',
      'config.change | Acme/support | config |  | 5>6 | done,,Bo,more',
      'config.change | Acme/support | config |  | 6>7 | done,,,',
      'integration.add | Acme/sales | webhook_secret | webhook_secret ->A | 0>1 | done,,,',
      'secret.rotate | Acme/support | webhook_secret | webhook_secret A>C | 7>8 | done,,,',
      'secret.rotate | Acme/sales | webhook_secret | webhook_secret A>C | 1>2 | done,,,',
      'secret.rotate | Acme/support | webhook_secret | previous_webhook_secret A>-,webhook_secret C>D | 8>9 | done,,,',
      'secret.rotate | Acme/support | access_token,token_expires_at | access_token B>E | 9>10 | done,,,',
      'secret.finish | Acme/sales | webhook_secret | previous_webhook_secret A>- | 2>3 | done,,,',
      'secret.revert | Acme/support | webhook_secret | webhook_secret D>C | 10>11 | done,,,',
      'secret.reveal | Acme/support | access_token |  | > | done,,,',
      'secret.exec | Acme/support | webhook_secret,access_token |  | > | started,,,',
      'secret.purge | database |  |  | > | done,1,,',
      'user.remove | ana@example.com |  |  | > | done,,,',
      'integration.update | Acme/support | created_by |  | > | done,,,',
      'integration.remove | Acme/support | webhook_secret,access_token | webhook_secret C>-,access_token E>- | 11> | done,,,',
      'workspace.rename | Acme | name |  | > | done,,,',
      'workspace.add | Solo |  |  | > | done,,,',
      'integration.remove | Apex/sales | webhook_secret | webhook_secret C>- | 3> | done,,,',
      'workspace.remove | Apex |  |  | > | done,,,',
    ])
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1))
    // Events of one change have one request id.
    const requests = events.map(({ requestId }) => requestId)
    expect(new Set(requests).size).toBe(events.length - 4)
    for (const [a, b] of [
      [1, 2],
      [11, 12],
      [20, 21],
      [25, 26],
    ] as const)
      expect(requests[a]).toBe(requests[b])
    const log = JSON.stringify(
      await db
        .query('SELECT * FROM integration_events')
        .then((rows) => rows.map((row) => Object.values(row).map(String))),
    )
    for (const secret of [signingSecret(1), signingSecret(2), botToken(1)]) expect(log + stdout).not.toContain(secret)
    expect(await verify()).toEqual(whole)
  })

  test('keeps who it was: what a CI system says, the user and host, the database role, --as and --reason', async () => {
    const { db, env } = await start(kind)
    const systems = [
      [{ GITHUB_ACTIONS: 'true', GITHUB_ACTOR: 'ana', GITHUB_RUN_ID: '12' }, 'github:ana:12'],
      [{ GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'bo', CI_JOB_ID: '34' }, 'gitlab:bo:34'],
      [{ BUILDKITE: 'true', BUILDKITE_BUILD_CREATOR: 'cy', BUILDKITE_JOB_ID: '56' }, 'buildkite:cy:56'],
      [{ CIRCLECI: 'true', CIRCLE_USERNAME: 'di', CIRCLE_BUILD_NUM: '78' }, 'circleci:di:78'],
      [{}, null],
    ] as const
    for (const [variables] of systems)
      expect(
        await program(['toggle', 'support', '--as', 'Eve', '--reason', 'drill = 1'], {
          env: { ...env, ...variables },
        }),
      ).toMatchObject({ code: 0 })
    const { stdout } = await program(['audit', 'list', '--sort', 'seq', '--actor', 'eve', '-o', 'json'], { env })
    const me = { osUser: userInfo().username, host: hostname() }
    expect(
      JSON.parse(stdout).map(
        ({
          who,
          ciIdentity,
          osUser,
          host,
          databaseRole,
          declaredAs,
          reason,
          programVersion,
        }: Record<string, unknown>) => ({
          who,
          ciIdentity,
          osUser,
          host,
          databaseRole,
          declaredAs,
          reason,
          programVersion,
        }),
      ),
    ).toEqual(
      systems.map(([, ciIdentity]) => ({
        who: `${ciIdentity ?? `os:${me.osUser}@${me.host}`} as Eve`,
        ciIdentity,
        ...me,
        databaseRole: kind === 'postgresql' ? new URL(db.url).username : null,
        declaredAs: 'Eve',
        reason: 'drill = 1',
        programVersion: packageJson.version,
      })),
    )
    const named = async (actor: string) =>
      (await program(['audit', 'list', '--actor', actor, '-o', 'id'], { env })).stdout.split('\n').length - 1
    expect(await named('GITHUB:ana')).toBe(1)
    expect(await named(`os:${me.osUser}@${me.host}`)).toBe(8)
    expect(await named('%')).toBe(0)
  })

  test('is listed by what, when and which, without keys and after what it is about is gone', async () => {
    const { db, run } = await start(kind)
    const [row] = await db.query('SELECT id FROM integrations')
    const id = String(row?.id)
    await run('update support --name help')
    await run('add --platform slack --workspace Acme --name support')
    await run('remove help --confirm help')
    await disarm(db)
    await db.query("UPDATE integration_events SET at = '2026-01-02 03:04:05.678' WHERE seq = 1")
    await db.query("UPDATE integration_events SET fields = 'access_token,verdict:refused' WHERE seq = 2")
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: join(freshFolder(), 'none.json') }
    const list = (...args: string[]) => runInProcess(['audit', 'list', '-o', 'id', ...args], { env })
    const lines = (...seqs: number[]) => ({ code: 0, stdout: seqs.map((seq) => `${seq}\n`).join(''), stderr: '' })

    expect(await list()).toEqual(lines(6, 5, 4, 3, 2, 1))
    expect(await list('--sort', 'seq', '--limit', '2')).toEqual(lines(1, 2))
    expect(await list('--sort', 'seq', '--limit', '2', '--cursor', '2')).toEqual(lines(3, 4))
    expect(await list('--cursor', '3')).toEqual(lines(2, 1))
    expect(await list('--action', 'integration')).toEqual(lines(6, 5, 4, 3))
    expect(await list('--action', 'integration.add')).toEqual(lines(5, 3))
    expect(await list('--field', 'slack-team-id')).toEqual(lines())
    for (const field of ['webhook-secret', 'webhookSecret', 'webhook_secret'])
      expect(await list('--field', field), field).toEqual(lines(6, 3))
    expect(await list('--field', 'name', '--action', 'integration')).toEqual(lines(4))
    expect(await list('--verdict', 'refused')).toEqual(lines(2))
    expect(await list('--verdict', 'ok')).toEqual(lines())
    expect(await list('--since', '1h')).toEqual(lines(6, 5, 4, 3, 2))
    expect(await list('--until', '1h')).toEqual(lines(1))
    expect(await list('--since', '2026-01-02T03:04:05.678Z', '--until', '2026-01-02T03:04:05.679Z')).toEqual(lines(1))
    expect(await list('--until', '2026-01-02T03:04:05.678Z')).toEqual(lines())

    // A date is its midnight where the process is.
    const there = (TZ: string, ...args: string[]) =>
      runProgram(['audit', 'list', '-o', 'id', ...args], { env: { ...env, TZ } })
    for (const [since, until] of [
      ['2026-01-01', '2026-01-02'],
      ['2026-01-01 22:04', '2026-01-01T22:04:06'],
    ] as const) {
      expect(await there('America/New_York', '--since', since, '--until', until), since).toEqual(lines(1))
      expect(await there('UTC', '--since', since, '--until', until), since).toEqual(lines())
    }
    expect(await list('--since', 'yesterday')).toEqual(lines(6, 5, 4, 3, 2))
    expect(await list('--until', 'yesterday')).toEqual(lines(1))

    // By id, by a part of it, and by the name that it had last.
    for (const ref of [id, id.slice(0, 6), 'help', 'Acme/help'])
      expect(await list('--ref', ref), ref).toEqual(lines(6, 4, 3))
    expect(await list('--ref', 'Acme')).toEqual(lines(2))
    // Two had this name: one has it still.
    const [other] = await db.query('SELECT id FROM integrations')
    const both = [id, String(other?.id)].sort().join(', ')
    for (const ref of ['support', 'Acme/support'])
      expect(await list('--ref', ref), ref).toEqual({
        ...lines(6, 5, 4, 3),
        stderr: expect.stringMatching(`^"${ref}" matches 2 things: `),
      })
    expect((await list('--ref', 'support')).stderr.split(': ')[1]?.trim().split(', ').sort().join(', ')).toBe(both)
    expect(await list('--ref', 'port')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the database and the audit log have no item named "port"\nhint: integrations audit list\n',
    })

    for (const args of [
      ['--cursor', 'x'],
      ['--since', '2026-02-30'],
      ['--since', 'tomorrow'],
      ['--field', 'secret'],
      ['--verdict', 'bad'],
      ['--sort', 'at'],
      ['--fields', 'nothing'],
    ])
      expect(await list(...args), args.join(' ')).toMatchObject({ code: 2, stdout: '' })
    const unknown = async (action: string) => (await list('--action', action)).stderr.split('\n')
    const meant = (near: string) => [
      "error: option '--action <action>' does not take that value",
      `hint: ${near}integrations audit list --help lists the actions`,
      '',
    ]
    expect(await unknown('rotate')).toEqual(meant('did you mean secret.rotate? '))
    expect(await unknown('secrets.rotat')).toEqual(meant('did you mean secret.rotate? '))
    expect(await unknown('recover')).toEqual(meant('did you mean token.recover? '))
    expect(await unknown('rename')).toEqual(meant('did you mean workspace.rename? '))
    expect(await unknown('add')).toEqual(
      meant('did you mean app.add, integration.add, keys.add, policy.add, user.add, workspace.add? '),
    )
    expect(await unknown('integration.')).toEqual(meant('did you mean integration? '))
    expect(await unknown('everything')).toEqual(meant(''))
    expect(await list('--action', 'rotate')).toMatchObject({ code: 2, stdout: '' })
    expect(await list('--cursor', '99')).toMatchObject({ code: 3, stdout: '' })
    expect(
      await program(['audit', 'list', '--ref', 'Acme', '-o', 'csv', '--fields', 'seq,action,target'], { env }),
    ).toEqual({ code: 0, stdout: 'seq,action,target\n2,workspace.add,Acme\n', stderr: '' })
    const [last] = JSON.parse((await runInProcess(['audit', 'list', '--limit', '1', '-o', 'json'], { env })).stdout)
    // However long it took to get here, nine seconds have passed.
    const clock = `--import=data:text/javascript,Date.now=()=>${Date.parse(last.at) + 9000}`
    const { screen } = await runInTerminal(['audit', 'list', '--limit', '1'], [], {
      env: { ...env, NO_COLOR: '1', NODE_OPTIONS: clock },
      columns: 200,
    })
    const role = kind === 'postgresql' ? new URL(db.url).username : ''
    expect(screen.replaceAll(/ {2,}/g, '|').trim().split('\r\n')).toEqual([
      `SEQ|WHEN|ACTION|TARGET|WHO${role && '|ROLE'}`,
      `6|just now|integration.remove|Acme/help|os:${userInfo().username}@${hostname()}${role && `|${role}`}`,
      '5 more: add --all, or --cursor 6',
    ])
  })

  test('takes new events only', async () => {
    const { db } = await start(kind)
    const before = await db.query('SELECT * FROM integration_events ORDER BY seq')
    const attempts = [
      "UPDATE integration_events SET reason = 'x' WHERE seq = 2",
      'DELETE FROM integration_events WHERE seq = 3',
      kind === 'postgresql'
        ? 'TRUNCATE integration_events'
        : 'INSERT OR REPLACE INTO integration_events SELECT * FROM integration_events WHERE seq = 2',
    ]
    for (const attempt of attempts) await expect(db.query(attempt), attempt).rejects.toThrow('append-only')
    const refusal = {
      code: 'NOT_PERMITTED',
      message: 'the audit log takes new events only: none can be changed or deleted',
    }
    await withDatabase(storeOptions(db), async (_, session) => {
      for (const attempt of attempts)
        await expect(
          session.read((statements) => statements.execute(new Sql([attempt], []))),
          attempt,
        ).rejects.toMatchObject(refusal)
      await expect(
        session.mutate(async ({ models }) => {
          await (await models()).integrationEvent.deleteMany()
          return { result: undefined, keep: true }
        }),
      ).rejects.toMatchObject(refusal)
    })
    expect(await db.query('SELECT * FROM integration_events ORDER BY seq')).toEqual(before)
  })

  test('tells which event was changed, whatever of it was', async () => {
    const { db, run, verify } = await start(kind)
    await run('toggle support')
    await run('toggle support')
    await disarm(db)
    await db.query('CREATE TABLE kept AS SELECT * FROM integration_events')
    expect(await verify()).toEqual(whole)
    const [row = {}] = await db.query('SELECT * FROM integration_events LIMIT 1')
    const columns = Object.keys(row)
    expect(columns.sort()).toEqual(Object.values(eventColumns).sort())

    const numbers = ['seq', 'version_before', 'version_after', 'count', 'pid', 'format']
    const other = (column: string) =>
      column === 'at'
        ? "'2026-01-02 03:04:05.678'"
        : numbers.includes(column)
          ? `COALESCE(${column}, 0) + 100`
          : `COALESCE(${column}, '') || 'x'`
    const changes = [...columns.map((column) => [column, other(column)] as const), ['reason', "''"] as const]
    for (const [column, value] of changes) {
      await db.query(`UPDATE integration_events SET ${column} = ${value} WHERE seq = 4`)
      const changed = 'the event was changed, or made without the audit key'
      expect(await verify(), column).toEqual(
        broken(
          ...(column === 'seq'
            ? [
                { seq: 4, problem: 'the event is missing' },
                { seq: 104, problem: changed },
              ]
            : [{ seq: 4, problem: changed }]),
        ),
      )
      const there = column === 'seq' ? 104 : 4
      await db.query(
        `UPDATE integration_events SET ${column} = (SELECT ${column} FROM kept WHERE seq = 4) WHERE seq = ${there}`,
      )
    }
    expect(await verify()).toEqual(whole)

    await db.query("UPDATE integration_events SET os_user = 'x' WHERE seq IN (4, 5)")
    const { screen, code } = await runInTerminal(['audit', 'verify'], [], {
      env: { DATABASE_URL: db.url, NO_COLOR: '1' },
      columns: 200,
    })
    const told = screen.trim().split('\r\n')
    expect([code, told.filter((line) => !line.startsWith('the trigger'))]).toEqual([
      8,
      [
        'audit log not verified: 5 events and 2 current secrets were read',
        'event 4: the event was changed, or made without the audit key',
        'event 5: the event was changed, or made without the audit key',
        expect.stringMatching(/^the integration Acme\/support \(.*\): its newest event, 5, was changed$/),
        expect.stringMatching(/^error: the audit log has \d problems$/),
        'hint: find out who could write to the database; replace the secrets concerned with integrations rotate, and record explained damage of the log with integrations audit acknowledge',
      ],
    ])
  })

  test('tells when events are missing, and when all of them were written anew', async () => {
    const { db, env, run, verify } = await start(kind)
    const { stdout: early } = await run('audit checkpoint')
    expect(early).toMatch(/^integrations-audit\/v1 [0-9a-f-]{32,36} 3 [0-9a-f]{64}\n$/)
    for (let i = 0; i < 3; i++) await run('toggle support')
    const { stdout: late } = await run('audit checkpoint')
    const [, id = ''] = late.split(' ')
    for (const line of [early, late]) expect(await verify('--checkpoint', line)).toEqual(whole)
    expect(await program(['audit', 'verify', '--checkpoint', '-', '-o', 'id'], { env, input: late })).toEqual({
      code: 0,
      stdout: `${late.trim().split(' ')[3]}\n`,
      stderr: '',
    })
    const foreign = late.replace(id, `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`)
    expect(await verify('--checkpoint', foreign)).toEqual({
      code: 2,
      stderr: expect.stringContaining('the checkpoint belongs to another database'),
    })
    for (const text of ['', 'x', late.replace('v1', 'v2'), late.replace(' 6 ', ' 0 '), `${late}${late}`])
      expect(await verify('--checkpoint', text), text).toMatchObject({ code: 2 })

    await disarm(db)
    const head = async (seq: number, hash: string) => {
      await db.query("UPDATE integration_settings SET seq = ?, value = ? WHERE key = 'head'", seq, hash)
      await vouchFor(db)
    }
    const events = await db.query('SELECT * FROM integration_events ORDER BY seq')
    const hashes = events.map(({ hash }) => String(hash))

    // The end is cut off.
    await db.query('DELETE FROM integration_events WHERE seq > 4')
    expect(await verify()).toEqual(broken({ seq: 5, problem: 'the event is missing: the log had 6 events' }))
    expect(await program(['audit', 'checkpoint'], { env })).toEqual({
      code: 8,
      stdout: '',
      stderr: 'error: the audit log does not end where its head row says\nhint: integrations audit verify\n',
    })
    // And the head row with it: only who kept a checkpoint can tell.
    await head(4, hashes[3] ?? '')
    expect(await verify()).toEqual(whole)
    expect(await verify('--checkpoint', early)).toEqual(whole)
    expect(await verify('--checkpoint', late)).toEqual(
      broken({ seq: 6, problem: 'the event of the checkpoint is missing: the log was truncated' }),
    )
    await head(4, hashes[2] ?? '')
    expect(await verify()).toEqual(broken({ seq: 4, problem: 'the head row has a different hash for the last event' }))
    await head(3, hashes[2] ?? '')
    expect(await verify()).toEqual(broken({ seq: 4, problem: 'the head row says that the log ends at 3' }))

    // Written anew from the third on: with a hash that needs no key, and by who has the key.
    const rewrite = async (hash: (previous: string, event: AuditEvent) => string) => {
      const list = await run('audit list --sort seq -o json')
      let previous = hashes[1] ?? ''
      for (const event of JSON.parse(list.stdout).slice(2)) {
        const { state, format } = events.find(({ seq }) => Number(seq) === event.seq) ?? {}
        const columns = { ...event, state, format, reason: 'forged', fields: event.fields.join() || null }
        columns.fingerprints =
          event.fingerprints
            .map(({ field, from, to }: Record<string, string>) => `${field}=${from ?? '-'}>${to ?? '-'}`)
            .join() || null
        const text = Object.fromEntries(
          Object.keys(eventColumns).map((column) => [
            column,
            columns[column] === null ? null : String(columns[column]),
          ]),
        )
        const made = hash(previous, text as unknown as AuditEvent)
        await db.query(
          'UPDATE integration_events SET reason = ?, previous_hash = ?, hash = ? WHERE seq = ?',
          'forged',
          previous,
          made,
          event.seq,
        )
        previous = made
      }
      await head(4, previous)
    }
    await rewrite((previous, event) =>
      createHash('sha256')
        .update(previous + JSON.stringify(event))
        .digest('hex'),
    )
    expect(await verify()).toEqual(
      broken(...[3, 4].map((seq) => ({ seq, problem: 'the event was changed, or made without the audit key' }))),
    )
    await rewrite((previous, event) => eventHash({ auditKey: auditKey() }, previous, event))
    expect(await verify()).toEqual(whole)
    expect(await verify('--checkpoint', early)).toEqual(
      broken({ seq: 3, problem: 'the event differs from the checkpoint: the log was rewritten' }),
    )

    // One in the middle, then all.
    await db.query('DELETE FROM integration_events WHERE seq = 2')
    expect(await verify()).toEqual(broken({ seq: 2, problem: 'the event is missing' }))
    await db.query('DELETE FROM integration_events')
    expect(await verify()).toEqual(
      broken(
        { seq: 1, problem: 'the event is missing: the log had 4 events' },
        { mode: 'required', problem: 'no event sets the encryption mode' },
        { keyId: expect.any(String), problem: 'no event added the key' },
        ...['webhookSecret', 'accessToken'].map((field) => ({
          id: expect.any(String),
          name: 'Acme/support',
          field,
          problem: 'the current value does not match the log',
        })),
      ),
    )
    await head(0, '')
    expect(await program(['audit', 'checkpoint'], { env })).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the audit log has no events yet\nhint: take a checkpoint after the first change\n',
    })
  })

  test('tells when a secret was changed behind its back', async () => {
    const { db, run, verify } = await start(kind)
    await run('add --platform slack --workspace Acme --name sales --webhook-secret-stdin', signingSecret(3))
    const columns = () => db.query('SELECT id, name, webhook_secret, access_token FROM integrations ORDER BY name')
    const [sales = {}, support = {}] = await columns()
    const put = (row: Record<string, unknown>, column: string, value: unknown) =>
      db.query(`UPDATE integrations SET ${column} = ? WHERE id = ?`, value as string | null, String(row.id))
    const place = (row: Record<string, unknown>, field: string, problem: string) => ({
      id: row.id,
      name: `Acme/${row.name}`,
      field,
      problem,
    })
    const elsewhere = 'the stored webhook secret cannot be decrypted: it was changed, or belongs to another row'

    await run('rotate sales --webhook-secret-stdin --grace 0', signingSecret(4))
    expect(await verify()).toEqual(whole)
    const [rotated = {}] = await columns()
    // An old value of the same row, sealed as it should be.
    await put(sales, 'webhook_secret', sales.webhook_secret)
    expect(await verify()).toEqual(broken(place(sales, 'webhookSecret', 'the current value does not match the log')))
    await put(sales, 'webhook_secret', signingSecret(9))
    expect(await verify()).toEqual(
      broken(
        place(
          sales,
          'webhookSecret',
          'the stored webhook secret is not encrypted, which this database requires: this program did not write it',
        ),
      ),
    )
    await put(sales, 'webhook_secret', null)
    expect(await verify()).toEqual(broken(place(sales, 'webhookSecret', 'the value was removed without an event')))
    // Two rows' values, swapped; then two fields'.
    await put(sales, 'webhook_secret', support.webhook_secret)
    await put(support, 'webhook_secret', rotated.webhook_secret)
    const both = [place(sales, 'webhookSecret', elsewhere), place(support, 'webhookSecret', elsewhere)]
    expect(await verify()).toEqual(broken(...both.sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1))))
    await put(sales, 'webhook_secret', rotated.webhook_secret)
    await put(support, 'webhook_secret', support.access_token)
    await put(support, 'access_token', support.webhook_secret)
    expect(await verify()).toEqual(
      broken(
        place(support, 'webhookSecret', elsewhere),
        place(support, 'accessToken', elsewhere.replace('webhook secret', 'access token')),
      ),
    )
    await put(support, 'webhook_secret', support.webhook_secret)
    await put(support, 'access_token', support.access_token)
    expect(await verify()).toEqual(whole)
  })

  test('names what the application changed, where it may, and writes nothing', async () => {
    const { db, env, verify } = await start(kind, 'off')
    await db.query(`UPDATE integrations SET webhook_secret = '${signingSecret(5)}', access_token = NULL`)
    const [row] = await db.query('SELECT id FROM integrations')
    const all = async () =>
      JSON.stringify(
        await Promise.all(
          ['integrations', 'integration_secrets', 'integration_events', 'integration_settings', 'integration_keys'].map(
            async (table) =>
              (await db.query(`SELECT * FROM ${table}`)).map((found) => Object.values(found).map(String)),
          ),
        ),
      )
    const before = await all()
    const places = ['webhookSecret', 'accessToken'].map((field) => ({ id: row?.id, name: 'Acme/support', field }))
    expect(await verify()).toEqual({ ...whole, changedByApplication: places })
    expect(await program(['audit', 'verify', '--read-only', '-o', 'json'], { env })).toMatchObject({
      code: 0,
      stderr: '',
    })
    const { screen, code } = await runInTerminal(['audit', 'verify'], [], {
      env: { ...env, NO_COLOR: '1' },
      columns: 200,
    })
    expect([
      code,
      stable(screen.replace(/[0-9a-f]{64}/, '<hash>'))
        .trim()
        .split('\r\n'),
    ]).toEqual([
      0,
      [
        'audit log verified: 5 events and 1 current secret, up to 5 <hash>',
        'Acme/support (<id>), webhook secret: changed by the application',
        'Acme/support (<id>), access token: changed by the application',
      ],
    ])
    expect(await all()).toBe(before)

    // The next change that reads the value tells of it.
    const shared = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '0', '--shared']
    expect(await program(shared, { env, input: signingSecret(6) })).toMatchObject({ code: 0 })
    const { stdout } = await program(['audit', 'list', '--sort', 'seq', '-o', 'json'], { env })
    const [added, noticed, rotated] = JSON.parse(stdout)
      .flatMap(({ fingerprints }: { fingerprints: { field: string }[] }) => fingerprints)
      .filter(({ field }: { field: string }) => field === 'webhook_secret')
    expect([noticed, rotated]).toEqual([
      { field: 'webhook_secret', from: added.to, to: expect.stringMatching(/^[0-9a-f]{16}$/) },
      { field: 'webhook_secret', from: noticed.to, to: expect.stringMatching(/^[0-9a-f]{16}$/) },
    ])
    expect(await verify()).toEqual({ ...whole, changedByApplication: places.slice(1) })
    const none = join(freshFolder(), 'none.json')
    expect(await program(['audit', 'verify'], { env: { ...env, INTEGRATIONS_KEYS_FILE: none } })).toEqual({
      code: 4,
      stdout: '',
      stderr: `error: the key file ${none} does not exist\nhint: ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys\n`,
    })
  })

  test('tells when the sealing mode was set behind its back', async () => {
    const { db, verify } = await start(kind)
    const [row] = await db.query('SELECT id FROM integrations')
    const put = (mode: string) => db.query("UPDATE integration_settings SET value = ? WHERE key = 'sealing'", mode)
    for (const mode of ['off', null]) {
      await put(mode ?? '')
      expect(await verify()).toEqual(broken({ mode, problem: 'the log last set the mode required' }))
    }
    await put('off')
    // What the log says holds for the values too.
    await db.query('UPDATE integrations SET webhook_secret = ?', signingSecret(9))
    expect(await verify()).toEqual(
      broken(
        { mode: 'off', problem: 'the log last set the mode required' },
        {
          id: row?.id,
          name: 'Acme/support',
          field: 'webhookSecret',
          problem:
            'the stored webhook secret is not encrypted, which this database requires: this program did not write it',
        },
      ),
    )
    const store = await open(db)
    for (const mode of ['', 'off']) {
      await put(mode)
      await expect(changeMode(store, 'off', { dryRun: false })).rejects.toMatchObject({ code: 'DATABASE_TAMPERED' })
    }
    await put('required')
    await changeMode(store, 'migrating', { dryRun: false })
    expect(await verify()).toMatchObject({ code: 0, problems: [] })
  })

  test('is verified with the keys of the database alone', async () => {
    const { db } = await start(kind)
    const { keys: set } = JSON.parse(readFileSync(keys, 'utf8')) as { keys: { kid: string; k: string }[] }
    const refused = async (changed: object[]) => {
      const file = join(freshFolder(), 'keys.json')
      writeFileSync(file, JSON.stringify({ keys: changed }), { mode: 0o600 })
      const { code, stdout, stderr } = await program(['audit', 'verify'], {
        env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file },
      })
      return [code, stdout, stderr.split('\n')[0]?.replace(file, '<file>')]
    }
    const audit = set.find(({ kid }) => kid.startsWith('audit-'))
    expect(await refused(set.filter((key) => key !== audit))).toEqual([
      4,
      '',
      `error: the key ${audit?.kid} of this database is not in the key set (<file>)`,
    ])
    expect(
      await refused(set.map((key) => (key === audit ? { ...key, k: Buffer.alloc(32).toString('base64url') } : key))),
    ).toEqual([4, '', `error: the key ${audit?.kid} in the key set (<file>) is not the one that this database knows`])
  })
})

import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, runCommand, runProgram } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'
import { addSlack, revealed } from '../support/slack-integration.ts'

const log = (db: TestDatabase) => db.query('SELECT action, fields FROM integration_events ORDER BY seq')

/** A run with `-o json`: what it answers, and each line of stderr as what it holds. */
async function job(env: Record<string, string>, args: readonly string[], input = '') {
  const { code, stdout, stderr } = await runInProcess([...args, '-o', 'json'], { env, input })
  const lines = stderr.split('\n').filter(Boolean)
  return { code, answer: stdout === '' ? undefined : JSON.parse(stdout), told: lines.map((line) => JSON.parse(line)) }
}

describe.each(kinds)('a job that runs again on %s', (kind) => {
  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: botToken(1), NEW_TOKEN: botToken(2) }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN', '--expires-at', '2027-01-31T12:00:00Z')
    return { db, env }
  }

  test('a secret that is stored already is no change, and needs no grace period', async () => {
    const { db, env } = await start()
    const rotate = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h']
    expect(await job(env, rotate, signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', version: 2 },
    })
    const before = await log(db)
    const again = await job(env, rotate, signingSecret(2))
    expect(again).toMatchObject({ code: 0, answer: { outcome: 'unchanged', version: 2 } })
    expect(again.told).toEqual([
      { level: 'info', message: 'Acme/support already has this webhook-secret; no changes made' },
    ])
    expect(await job(env, rotate.slice(0, 3), signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'unchanged' },
    })
    // Of two, the one that is new.
    const both = [...rotate, '--access-token-env', 'NEW_TOKEN', '--expires-at', '2027-02-28T12:00:00Z']
    expect(await job(env, both, signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', version: 3, tokenExpiresAt: '2027-02-28T12:00:00.000Z' },
      told: expect.arrayContaining([
        { level: 'info', message: expect.stringMatching(/^replaced the access-token of Acme\/support;/) },
      ]),
    })
    expect((await log(db)).slice(before.length)).toEqual([
      { action: 'secret.rotate', fields: 'access_token,token_expires_at' },
    ])
    expect(await revealed(env)).toBe(signingSecret(2))
  })

  const many = kind === 'sqlite' ? 50 : 10
  test(`${many} are rotated from a file, twice`, async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    const lines = Array.from({ length: many }, (_, i) => [`desk-${i}`, signingSecret(i + 2)] as const)
    for (const [name] of lines) await addSlack(env, name)
    const run = async () => {
      const answers = new Map<string, number>()
      for (const [name, secret] of lines) {
        const rotate = ['rotate', `Acme/${name}`, '--webhook-secret-stdin', '--grace', '24h']
        const { code, answer } = await job(env, rotate, secret)
        const key = `${code} ${answer?.outcome}`
        answers.set(key, (answers.get(key) ?? 0) + 1)
      }
      return Object.fromEntries(answers)
    }
    expect([await run(), await run()]).toEqual([{ '0 changed': many }, { '0 unchanged': many }])
    expect(await db.query("SELECT count(*) AS n FROM integration_events WHERE action = 'secret.rotate'")).toEqual([
      { n: kind === 'sqlite' ? many : String(many) },
    ])
  })

  test('the previous secret is not put in again by a job that comes late', async () => {
    const { db, env } = await start()
    const rotate = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h']
    await job(env, rotate, signingSecret(2))
    const before = await log(db)
    const { code, answer, told } = await job(env, rotate, signingSecret(1))
    expect({ code, answer, told }).toEqual({
      code: 5,
      answer: undefined,
      told: [
        {
          level: 'error',
          error: {
            code: 'CONFLICT',
            message: expect.stringMatching(/^the new signing secret is the previous one, which is valid until \S+$/),
            hint: 'to make it current again: integrations secrets revert support webhook-secret',
            exit: 5,
            retryable: false,
            committed: false,
          },
        },
      ],
    })
    expect(await log(db)).toEqual(before)
    expect(await revealed(env)).toBe(signingSecret(2))
  })

  test('what was replaced before is ended at once, or refused, by a job that runs again after a leak', async () => {
    const { db, env } = await start()
    const rotate = ['rotate', 'support', '--webhook-secret-stdin']
    await job(env, [...rotate, '--grace', '1h'], signingSecret(2))
    const before = await log(db)
    expect(await job(env, [...rotate, '--grace', '0'], signingSecret(2))).toMatchObject({
      code: 5,
      told: [{ error: { code: 'GRACE_PERIOD_ACTIVE' } }],
    })
    expect(await log(db)).toEqual(before)
    expect(await job(env, [...rotate, '--grace', '0', '--end-previous'], signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', version: 3, webhookSecret: { previousValidUntil: null } },
    })
    expect((await log(db)).slice(before.length)).toEqual([{ action: 'secret.finish', fields: 'webhook_secret' }])
    const token = (variable: string, grace: string) =>
      job(env, ['rotate', 'support', '--access-token-env', variable, '--grace', grace])
    await token('NEW_TOKEN', '1h')
    expect(await token('NEW_TOKEN', '0')).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', accessToken: { previousValidUntil: null } },
      told: [
        { level: 'info', message: 'Acme/support already has this access-token, and no other is kept here from now on' },
      ],
    })
    expect(await job(env, [...rotate, '--grace', '0', '--end-previous'], signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'unchanged', version: 5 },
    })
    expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
  })

  test('those that still share what was replaced are found by a job that runs again', async () => {
    const { env } = await start()
    await addSlack(env, 'sales')
    const rotate = ['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h']
    await job(env, rotate, signingSecret(2))
    const shared = await job(env, [...rotate, '--shared', '--fields', 'name,version'], signingSecret(2))
    expect(shared).toMatchObject({
      code: 0,
      answer: [
        { name: 'support', version: 2 },
        { name: 'sales', version: 2 },
      ],
      told: expect.arrayContaining([{ level: 'info', message: 'replaced the webhook-secret of Acme/sales' }]),
    })
    expect([await revealed(env), await revealed(env, 'webhook-secret', 'sales')]).toEqual([
      signingSecret(2),
      signingSecret(2),
    ])
  })

  test('another expiry of the same token is the change', async () => {
    const { db, env } = await start()
    const before = await log(db)
    const rotate = (...expiry: string[]) =>
      job(env, ['rotate', 'support', '--access-token-env', 'TOKEN', '--grace', '0', ...expiry])
    expect(await rotate()).toMatchObject({ code: 0, answer: { outcome: 'unchanged', version: 1 } })
    expect(await rotate('--expires-at', '2027-01-31T12:00:00Z')).toMatchObject({ answer: { outcome: 'unchanged' } })
    expect(await rotate('--expires-at', '2027-03-31T12:00:00Z', '--dry-run')).toMatchObject({
      answer: { outcome: 'would change', version: 2 },
    })
    expect(await rotate('--expires-at', '2027-03-31T12:00:00Z')).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', version: 2, tokenExpiry: 'dated', tokenExpiresAt: '2027-03-31T12:00:00.000Z' },
      told: [
        {
          message:
            'set the expiry of the access-token of Acme/support, which is already stored, to 2027-03-31T12:00:00.000Z',
        },
      ],
    })
    // So long from now is no news of a token whose expiry is known, however late the job runs again.
    expect(await rotate('--expires-in', '12h')).toMatchObject({ code: 0, answer: { outcome: 'unchanged', version: 2 } })
    const expired = await rotate('--expires-at', '2020-01-31T12:00:00Z', '--dry-run')
    expect(expired).toMatchObject({ code: 0, answer: { tokenExpiresAt: '2020-01-31T12:00:00.000Z' } })
    expect(expired.told[0]).toEqual({
      level: 'warning',
      message: 'the access token has expired already: its expiry is 2020-01-31T12:00:00.000Z',
    })
    expect(await rotate('--no-expiry')).toMatchObject({ answer: { tokenExpiry: 'never', version: 3 } })
    expect(await rotate('--no-expiry')).toMatchObject({ answer: { outcome: 'unchanged', version: 3 } })
    expect((await log(db)).slice(before.length)).toEqual([
      { action: 'integration.update', fields: 'token_expires_at' },
      { action: 'integration.update', fields: 'token_expires_at' },
    ])
    expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
    expect(await revealed(env, 'access-token')).toBe(env.TOKEN)
  })

  test('what is there is not added again', async () => {
    const { db, env } = await start()
    const before = await log(db)
    const add = ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', '--webhook-secret-stdin']
    expect(await job(env, [...add, '--if-missing'], signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'unchanged', version: 1, name: 'support' },
    })
    expect(await job(env, ['workspaces', 'add', 'Acme', '--if-missing'])).toMatchObject({
      code: 0,
      answer: { outcome: 'unchanged', name: 'Acme', integrations: 1 },
    })
    expect(await job(env, ['workspaces', 'rename', 'Acme', 'Acme'])).toMatchObject({ answer: { outcome: 'unchanged' } })
    expect(await job(env, ['enable', 'support', '--fields', 'name,outcome'])).toMatchObject({
      code: 0,
      answer: { name: 'support', outcome: 'unchanged' },
    })
    expect(await job(env, add, signingSecret(2))).toMatchObject({
      code: 5,
      told: [{ error: { code: 'ALREADY_EXISTS' } }],
    })
    expect(await log(db)).toEqual(before)
    expect(await revealed(env)).toBe(signingSecret(1))
    // Its workspace is no reason to fail.
    const sales = add.map((word) => (word === 'support' ? 'sales' : word))
    expect(await job(env, [...sales, '--if-missing'], signingSecret(2))).toMatchObject({
      code: 0,
      answer: { outcome: 'changed', name: 'sales', workspace: 'Acme' },
    })
  })

  test('--upsert gives what is there what is given, and nothing else', async () => {
    const { db, env } = await start()
    const before = await log(db)
    const upsert = (...args: string[]) =>
      job(
        env,
        ['add', '--platform', 'slack', '--workspace', 'Acme', '--upsert', '--webhook-secret-stdin', ...args],
        signingSecret(2),
      )
    const given = [
      '--name',
      'support',
      '--slack-team-id',
      'T012AB3CD',
      '--config',
      '{"slackChannels":[{"id":"C012AB3CD","name":"help"}]}',
    ]
    expect(await upsert(...given)).toMatchObject({ code: 2, told: [{ error: { code: 'INPUT_REQUIRED' } }] })
    expect(await log(db)).toEqual(before)
    expect(await upsert(...given, '--grace', '1h')).toMatchObject({
      code: 0,
      answer: {
        outcome: 'changed',
        version: 4,
        slackTeamId: 'T012AB3CD',
        config: { slackChannels: [{ id: 'C012AB3CD', name: 'help' }] },
        tokenExpiresAt: '2027-01-31T12:00:00.000Z',
        webhookSecret: { previousValidUntil: expect.any(String) },
      },
      told: expect.arrayContaining([
        {
          level: 'info',
          message: expect.stringMatching(
            /^changed Acme\/support: slackTeamId null -> "T012AB3CD", config; replaced the webhook-secret of Acme\/support; the previous webhook-secret stays valid until \S+ in endpoints/,
          ),
        },
      ]),
    })
    expect((await log(db)).slice(before.length)).toEqual([
      { action: 'integration.update', fields: 'slack_team_id' },
      { action: 'config.change', fields: 'config' },
      { action: 'secret.rotate', fields: 'webhook_secret' },
    ])
    expect(await upsert(...given)).toMatchObject({ code: 0, answer: { outcome: 'unchanged', version: 4 } })
    const third = (...flags: string[]) =>
      job(env, ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support', ...flags], signingSecret(3))
    const again = ['--upsert', '--webhook-secret-stdin', '--grace', '1h', '--dry-run']
    expect(await third(...again)).toMatchObject({ code: 5, told: [{ error: { code: 'GRACE_PERIOD_ACTIVE' } }] })
    expect(await third(...again, '--end-previous')).toMatchObject({ code: 0, answer: { outcome: 'would change' } })
    expect(await third('--end-previous')).toMatchObject({ code: 2, told: [{ error: { code: 'BAD_INPUT' } }] })
    expect([await revealed(env), await revealed(env, 'access-token')]).toEqual([signingSecret(2), env.TOKEN])
    expect(await upsert('--name', 'sales')).toMatchObject({ code: 0, answer: { outcome: 'changed', version: 1 } })
    expect((await runInProcess(['audit', 'verify'], { env })).code).toBe(0)
  })

  test('a conflict says at which version the integration is', async () => {
    const { env } = await start()
    await job(env, ['disable', 'support'])
    expect(await job(env, ['enable', 'support', '--if-version', '1'])).toMatchObject({
      code: 5,
      told: [{ level: 'error', error: { code: 'CONFLICT', version: 2 } }],
    })
  })
})

test('each line of stderr is an object, also of what is told beside an answer, and Node adds none', async () => {
  const db = await freshDatabase('sqlite')
  const env = {
    DATABASE_URL: db.url,
    NODE_OPTIONS: '--require=./test/support/deprecated.cjs',
    NODE_PENDING_DEPRECATION: '1',
  }
  const add = ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support']
  const { code, stderr } = await runProgram([...add, '-o', 'jsonl'], { env })
  const lines = stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const id = /id (\S+)$/.exec(lines[0]?.message)?.[1]
  expect({ code, lines }).toEqual({
    code: 0,
    lines: [
      { level: 'info', message: `added Acme/support, id ${id}` },
      {
        level: 'info',
        next: [
          `integrations show ${id}`,
          `integrations rotate ${id} --field webhook-secret`,
          `integrations rotate ${id} --field access-token`,
        ],
      },
    ],
  })
})

test.each([
  [['list', '--wait', '5', '-o', 'json'], 'BAD_INPUT'],
  [['list', '--fields', 'a,,b', '--output=jsonl'], 'BAD_INPUT'],
  [['secrets', '-o', 'json'], 'BAD_INPUT'],
  [['-o', 'jsonl'], 'BAD_INPUT'],
])('%j is refused in JSON, too', async (args, code) => {
  const { code: exit, stdout, stderr } = await runInProcess(args)
  expect({ exit, stdout, told: JSON.parse(stderr) }).toMatchObject({ exit: 2, stdout: '', told: { error: { code } } })
})

describe('--mask github', () => {
  async function start() {
    const db = await freshDatabase('sqlite')
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    return env
  }

  test('the log is told of the value before it is written', async () => {
    const env = await start()
    const value = signingSecret(1)
    // One stream for both, as in the log of a job.
    const command = 'exec "$0" "$@" 2>&1'
    const run = (...args: string[]) =>
      runCommand('sh', ['-c', command, process.execPath, bin, ...args, '--mask', 'github'], {
        env: { ...env, GITHUB_ACTIONS: 'true' },
      })
    expect(await run('secrets', 'reveal', 'support', 'webhook-secret')).toEqual({
      code: 0,
      stdout: `::add-mask::${value}\n${value}\n`,
      stderr: '',
    })
    const printing = await runCommand(
      'sh',
      [
        '-c',
        command,
        process.execPath,
        bin,
        'exec',
        'support',
        '--mask',
        'github',
        '--',
        'printenv',
        'SLACK_SIGNING_SECRET',
      ],
      { env: { ...env, GITHUB_ACTIONS: 'true' } },
    )
    expect(printing).toEqual({ code: 0, stdout: `::add-mask::${value}\n${value}\n`, stderr: '' })
  })

  test('another CI system would print the commands, and is told nothing', async () => {
    const env = await start()
    const { code, stdout, stderr } = await runInProcess(
      ['secrets', 'reveal', 'support', 'webhook-secret', '--mask', 'github'],
      { env: { ...env, GITLAB_CI: 'true' } },
    )
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).not.toContain(signingSecret(1))
  })

  test('without it nothing of the value is told, and a GitHub job is warned', async () => {
    const env = await start()
    const reveal = ['secrets', 'reveal', 'support', 'webhook-secret']
    const stdout = `${signingSecret(1)}\n`
    expect(await runInProcess(reveal, { env })).toEqual({ code: 0, stdout, stderr: '' })
    expect(await runInProcess(reveal, { env: { ...env, GITHUB_ACTIONS: 'true' } })).toEqual({
      code: 0,
      stdout,
      stderr: 'warning: the log of this job shows the value wherever a step prints it; pass --mask github to hide it\n',
    })
  })
})

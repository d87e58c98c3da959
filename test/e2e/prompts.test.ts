import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { openedStore } from '../support/keyring.ts'
import { freshFolder, runInTerminal } from '../support/program.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'
import { addSlack, rotate } from '../support/slack-integration.ts'

const enter = '\r'

describe.each(kinds)('questions on %s', (kind) => {
  test('add asks for what is missing, and shows no secret', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const { code, screen } = await runInTerminal(
      ['add'],
      [
        ['Platform', enter],
        ['Workspace', enter],
        ['Name of the new workspace', `Acme${enter}`],
        ['Name of the integration', `a/b${enter}`],
        ['contains a slash', `${'\u007f'.repeat(3)}support ${enter}`],
        ['Slack signing secret', `two words ${enter}`],
        ['begins or ends with white space', `${'\u007f'.repeat(10)}${signingSecret()}${enter}`],
        ['Slack bot or user token', `${botToken()}${enter}`],
        ['Slack refresh token', enter],
        ['When does the token expire?', `2020-01-01T00:00:00Z${enter}`],
        ['the answer is in the past', `${'\u007f'.repeat(20)}0${enter}`],
        ['the answer is in the past', `\u007fnever${enter}`],
      ],
      { env },
    )
    expect(code).toBe(0)
    expect(screen).toContain('added Acme/support, id ')
    expect(screen).toContain('next: integrations show ')
    for (const secret of [signingSecret(), botToken(), 'two words']) expect(screen).not.toContain(secret)
    // Not even the length is shown.
    expect(screen).not.toContain('****')
    expect(
      await openedStore(db)(
        'SELECT i.name, i.platform, i.webhook_secret, i.access_token, i.refresh_token, w.name AS workspace FROM integrations i JOIN workspaces w ON w.id = i.workspace_id',
      ),
    ).toEqual([
      {
        name: 'support',
        platform: 'slack',
        webhook_secret: signingSecret(),
        access_token: botToken(),
        refresh_token: null,
        workspace: 'Acme',
      },
    ])
  })

  test('what flags say is not asked, and an existing workspace can be chosen', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: 'pylon-token-1' }
    // Of several with what was typed, those that begin with it go first.
    for (const name of ['A1', 'A2', 'A3', 'A4', 'A5', 'A6', 'A7', 'B of beta', 'Beta'])
      expect(await runInProcess(['workspaces', 'add', name], { env })).toMatchObject({ code: 0 })
    const { code, screen } = await runInTerminal(
      ['add', '--platform', 'pylon', '--access-token-env', 'TOKEN'],
      [
        ['Workspace', 'beta'],
        ['B of beta', enter],
        ['Name of the integration', `desk${enter}`],
        ['Pylon webhook secret', enter],
        ['When does the token expire?', enter],
      ],
      { env },
    )
    expect(code).toBe(0)
    expect(screen).not.toContain('Platform')
    expect(screen).toContain('--field webhook-secret')
    expect(
      await openedStore(db)(
        'SELECT i.name, i.access_token, i.webhook_secret, w.name AS workspace FROM integrations i JOIN workspaces w ON w.id = i.workspace_id',
      ),
    ).toEqual([{ name: 'desk', access_token: 'pylon-token-1', webhook_secret: null, workspace: 'Beta' }])
  })

  test('rotate asks which secret and for its value, and keeps the old one for a day', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const added = await runInProcess(
      ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', '--webhook-secret-stdin'],
      { env, input: `${signingSecret(1)}\n` },
    )
    expect(added.code).toBe(0)
    const stored = () => openedStore(db)('SELECT webhook_secret FROM integrations')

    const left = await runInTerminal(
      ['rotate', 'support'],
      [
        ['Which secret', enter],
        ['New Slack signing secret', '\u0003'],
      ],
      { env },
    )
    expect(left.code).toBe(130)
    expect(left.screen).toContain('cancelled; nothing was changed')
    expect(await stored()).toEqual([{ webhook_secret: signingSecret(1) }])

    const done = await runInTerminal(
      ['rotate', 'support'],
      [
        ['Which secret', enter],
        ['New Slack signing secret', `${signingSecret(2)}${enter}`],
      ],
      { env },
    )
    expect(done.code).toBe(0)
    expect(done.screen).toContain('the previous webhook-secret stays valid for 24 hours; change that with --grace')
    expect(done.screen).not.toContain(signingSecret(2))
    expect(await stored()).toEqual([{ webhook_secret: signingSecret(2) }])
    const [old] = await openedStore(db)(
      'SELECT sealed, valid_until FROM integration_secrets WHERE valid_until IS NOT NULL',
    )
    expect(old?.sealed).toBe(signingSecret(1))
    const hours = (new Date(old?.valid_until as string).getTime() - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(23.9)
    expect(hours).toBeLessThanOrEqual(24)
  })

  test('somebody else changes it between the question and the answer: nothing is lost', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    expect(
      await runInProcess(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], { env }),
    ).toMatchObject({ code: 0 })
    const { code } = await runInTerminal(
      ['rotate', 'support', '--field', 'webhook-secret'],
      [
        [
          'New Slack signing secret',
          async () => {
            expect(await runInProcess(['update', 'support', '--slack-team-id', 'T012AB3CD'], { env })).toMatchObject({
              code: 0,
            })
            return `${signingSecret(2)}${enter}`
          },
        ],
      ],
      { env },
    )
    expect(code).toBe(5)
    expect(await db.query('SELECT webhook_secret, slack_team_id FROM integrations')).toEqual([
      { webhook_secret: null, slack_team_id: 'T012AB3CD' },
    ])
  })

  test('remove wants the name typed', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    expect(
      await runInProcess(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], { env }),
    ).toMatchObject({ code: 0 })
    const wrong = await runInTerminal(['remove', 'Acme/support'], [['Type support to confirm', `yes${enter}`]], { env })
    expect(wrong.code).toBe(130)
    expect(wrong.screen).toContain('with its secrets and config; nothing is kept.')
    expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'support' }])
    const right = await runInTerminal(['remove', 'Acme/support'], [['Type support to confirm', `support${enter}`]], {
      env,
    })
    expect(right.code).toBe(0)
    for (const table of ['integrations', 'integration_versions', 'integration_secrets'])
      expect(await db.query(`SELECT * FROM ${table}`)).toEqual([])
    expect(await db.query('SELECT name FROM workspaces')).toEqual([{ name: 'Acme' }])
  })

  describe.each([
    ['marked by the terminal', (text: string) => `\u001b[200~${text}\u001b[201~`],
    ['not marked', (text: string) => text],
  ])('a paste that is %s', (_, paste) => {
    const start = async () => {
      const db = await freshDatabase(kind)
      const env = { DATABASE_URL: db.url }
      await addSlack(env)
      return { db, env }
    }

    test.each([
      ['newlines', '\n'],
      ['carriage returns', '\r'],
      ['both', '\r\n'],
    ])('of several lines, with %s, is refused and not cut', async (__, end) => {
      const { db, env } = await start()
      const { code, screen } = await runInTerminal(
        ['rotate', 'support', '--field', 'webhook-secret', '--grace', '0'],
        [
          ['New Slack signing secret', paste(`${signingSecret(2)}${end}${signingSecret(3)}${end}`)],
          ['the answer has several lines: give it alone, on one line', paste(signingSecret(4))],
          ['[32 characters]', enter],
        ],
        { env },
      )
      expect({ code, stored: await openedStore(db)('SELECT webhook_secret FROM integrations') }).toEqual({
        code: 0,
        stored: [{ webhook_secret: signingSecret(4) }],
      })
      for (const n of [2, 3, 4]) expect(screen).not.toContain(signingSecret(n))
    })

    test('of one line that ends with a newline is one line, and its length is told', async () => {
      const { db, env } = await start()
      const { code } = await runInTerminal(
        ['rotate', 'support', '--field', 'webhook-secret', '--grace', '0'],
        [
          ['New Slack signing secret', paste(`${signingSecret(2)}\r\n`)],
          ['[32 characters]', paste('').length > 0 ? enter : ''],
        ],
        { env },
      )
      expect({ code, stored: await openedStore(db)('SELECT webhook_secret FROM integrations') }).toEqual({
        code: 0,
        stored: [{ webhook_secret: signingSecret(2) }],
      })
    })

    test('of several lines chooses nothing, and answers no question', async () => {
      const { db, env } = await start()
      const { code, screen } = await runInTerminal(
        ['add', '--platform', 'pylon'],
        [
          ['❯ Acme', paste('Ac\nnew\nsecret\n')],
          ['the answer has several lines: give it alone, on one line', ''],
          ['❯ Acme', enter],
          ['Name of the integration', `desk${enter}`],
          ['Pylon webhook secret', enter],
          ['Pylon API token', enter],
        ],
        { env },
      )
      expect({ code, screen }).toMatchObject({ code: 0, screen: expect.stringContaining('added Acme/desk') })
      expect(await db.query('SELECT name FROM integrations ORDER BY name')).toEqual([
        { name: 'desk' },
        { name: 'support' },
      ])
    })

    test('of several lines is no name either', async () => {
      const { db, env } = await start()
      const { code, screen } = await runInTerminal(
        ['remove', 'support'],
        [
          ['Type support to confirm', paste('support\nother\n')],
          ['the answer has several lines', '\u0003'],
        ],
        { env },
      )
      expect({ code, rows: await db.query('SELECT name FROM integrations') }).toEqual({
        code: 130,
        rows: [{ name: 'support' }],
      })
      expect(screen).toContain('\u001b[?2004l')
    })
  })

  test('add --upsert keeps the secret that it replaces for a day, as rotate does', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, SECRET: signingSecret(2) }
    await addSlack(env)
    const upsert = 'add --platform slack --workspace Acme --name support --upsert --webhook-secret-env SECRET'
    const { code, screen } = await runInTerminal(upsert.split(' '), [], { env, columns: 200 })
    expect(code).toBe(0)
    expect(screen.replaceAll('\r', '')).toMatch(
      /^the previous webhook-secret stays valid for 24 hours; change that with --grace\n.*replaced the webhook-secret of Acme\/support; the previous webhook-secret stays valid until /s,
    )
    const [{ hours } = {}] = await db.query(
      kind === 'sqlite'
        ? "SELECT CAST(round((julianday(valid_until) - julianday('now')) * 24) AS INTEGER) AS hours FROM integration_secrets WHERE valid_until IS NOT NULL"
        : 'SELECT round(extract(epoch FROM valid_until - now()) / 3600)::int AS hours FROM integration_secrets WHERE valid_until IS NOT NULL',
    )
    expect(hours).toBe(24)
    const again = await runInTerminal(upsert.split(' '), [], { env, columns: 200 })
    expect(again).toMatchObject({ code: 0, screen: expect.not.stringContaining('24 hours') })
  })

  test('add asks for the token whose expiry is given until there is one', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    const { code, screen } = await runInTerminal(
      'add --platform slack --workspace Acme --name new --no-expiry'.split(' '),
      [
        ['Slack signing secret (leave empty to set it later)', enter],
        ['Slack bot or user token (whose expiry is given)', enter],
        ['the answer is empty', '\u0003'],
      ],
      { env },
    )
    expect(code).toBe(130)
    expect(screen).not.toContain('refresh token')
    expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'support' }])
  })

  test('a value that is refused at a prompt is asked for again, and nothing of it stays or is shown', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    const { code, screen } = await runInTerminal(
      ['rotate', 'support', '--field', 'webhook-secret', '--grace', '0'],
      [
        ['New Slack signing secret', `"${signingSecret(2)}"${enter}`],
        ['the Slack signing secret begins with a quote: pass the value alone', `${signingSecret(3)}${enter}`],
      ],
      { env },
    )
    expect({ code, stored: await openedStore(db)('SELECT webhook_secret FROM integrations') }).toEqual({
      code: 0,
      stored: [{ webhook_secret: signingSecret(3) }],
    })
    for (const n of [2, 3]) expect(screen).not.toContain(signingSecret(n))
  })

  describe('what would be refused anyway is refused before a secret is asked for', () => {
    const start = async () => {
      const db = await freshDatabase(kind)
      const env = { DATABASE_URL: db.url }
      await addSlack(env)
      return { db, env }
    }

    test('add: a taken name, a creator who is not there, a key that is missing, a database that may not be changed', async () => {
      const { db, env } = await start()
      const add = ['add', '--platform', 'slack', '--workspace', 'Acme']
      const taken = await runInTerminal(add, [['Name of the integration', `support${enter}`]], { env })
      expect(taken.code).toBe(5)
      expect(taken.screen).toContain('error: Acme already has a Slack integration named "support"')
      const named = [...add, '--name', 'new']
      const nobody = await runInTerminal([...named, '--created-by', 'nobody@example.com'], [], { env })
      expect(nobody.code).toBe(3)
      const keyless = await runInTerminal(named, [], {
        env: { ...env, INTEGRATIONS_KEYS_FILE: join(freshFolder(), 'none') },
      })
      expect(keyless.code).toBe(4)
      const readOnly = await runInTerminal([...named, '--read-only'], [], { env })
      expect(readOnly.code).toBe(4)
      const everything = [
        '--webhook-secret-env',
        'SECRET',
        '--access-token-env',
        'TOKEN',
        '--refresh-token-env',
        'REFRESH',
      ]
      const values = { ...env, SECRET: signingSecret(2), TOKEN: botToken(), REFRESH: refreshToken() }
      const one = [...add, '--name', 'support', ...everything]
      for (const [flags, code] of [
        [[], 5],
        [['--if-missing'], 0],
        [['--upsert', '--grace', '8d'], 2],
      ] as const) {
        const unasked = await runInTerminal([...one, ...flags], [], { env: values })
        expect([flags, unasked.code]).toEqual([flags, code])
        expect(unasked.screen).not.toContain('When does the token expire?')
      }
      // Of one that is there already, what is not given stays.
      const there = await Promise.all(
        ['--if-missing', '--upsert'].map((flag) => runInTerminal([...add, '--name', 'support', flag], [], { env })),
      )
      expect(there.map(({ code }) => code)).toEqual([0, 0])
      for (const { screen } of [taken, nobody, keyless, readOnly, ...there])
        expect(screen).not.toContain('Slack signing secret')
      expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'support' }])
    })

    test('rotate: an open grace period, a grace period that is too long, another version', async () => {
      const { env } = await start()
      expect(await rotate(env, 2, '--grace', '1h')).toMatchObject({ code: 0 })
      const again = ['rotate', 'support', '--field', 'webhook-secret']
      for (const [flags, code, message] of [
        [[], 5, 'error: the previous signing secret is still accepted'],
        [['--end-previous', '--grace', '8d'], 2, 'error: a grace period is at most 7 days'],
        [['--end-previous', '--if-version', '1'], 5, 'error: Acme/support is at version 2, not 1'],
        [['--no-expiry'], 2, 'error: an expiry needs an access token'],
        [['--check'], 2, 'error: --check needs an access token'],
      ] as const) {
        const refused = await runInTerminal([...again, ...flags], [], { env })
        expect(refused.code).toBe(code)
        expect(refused.screen).toContain(message)
        expect(refused.screen).not.toContain('New Slack signing secret')
      }
    })

    test('apps add asks as add does, and refuses a name that is taken', async () => {
      const { db, env } = await start()
      const answers: [string, string][] = [
        ['Platform', enter],
        ['Client id', `1111.2222${enter}`],
        ['Client secret', `'${signingSecret(2)}'${enter}`],
        ['the Slack client secret begins with a quote', `${signingSecret(3)}${enter}`],
      ]
      const added = await runInTerminal(['apps', 'add', 'bot'], answers, { env })
      expect(added.code).toBe(0)
      expect(await db.query('SELECT name, platform, client_id FROM integration_apps')).toEqual([
        { name: 'bot', platform: 'slack', client_id: '1111.2222' },
      ])
      const again = await runInTerminal(['apps', 'add', 'bot'], [], { env })
      expect(again.code).toBe(5)
      expect(again.screen).not.toContain('Platform')
    })
  })

  test('a question whether to destroy something names the database, and what goes on working', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: botToken() }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN', '--no-expiry')
    const { screen } = await runInTerminal(['remove', 'support'], [['Type support to confirm', '\u0003']], {
      env,
      columns: 500,
    })
    const { hostname, port, pathname } = new URL(db.url)
    expect(screen).toContain(
      kind === 'sqlite' ? `The database is file:${pathname}.` : `@${hostname}:${port}${pathname}.`,
    )
    expect(screen).toContain(
      'Slack still accepts the token of Acme/support until its expiry or revocation: https://api.slack.com/apps. With --revoke, the token is revoked.',
    )
  })

  test.each([
    ['--no-input', {}],
    ['CI', { CI: 'true' }],
  ])('%s: nobody is asked, on a terminal either', async (flag, more) => {
    const db = await freshDatabase(kind)
    const { code, screen } = await runInTerminal(['add', ...(flag === 'CI' ? [] : [flag])], [], {
      env: { DATABASE_URL: db.url, ...more },
    })
    expect({ code, screen }).toEqual({
      code: 2,
      screen:
        'error: --platform, --workspace and --name are required when prompts are off or there is no terminal\r\nhint: pass --platform <platform>, --workspace <workspace> and --name <name>\r\n',
    })
  })
})

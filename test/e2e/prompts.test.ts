import { describe, expect, test } from 'vitest'
import { converse, integrations } from '../support/cli.ts'
import { freshDatabase, kinds } from '../support/database.ts'
import { revealed } from '../support/integration.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const enter = '\r'
const down = '\u001b[B'

describe.each(kinds)('questions on %s', (kind) => {
  test('add asks for what is missing, and shows no secret', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const { code, screen } = await converse(
      ['add'],
      [
        ['Platform', enter],
        ['Workspace', enter],
        ['Name of the new workspace', `Acme${enter}`],
        ['Name of the integration', `a/b${enter}`],
        ['contains a slash', `${'\u007f'.repeat(3)}support${enter}`],
        ['Slack signing secret', `two words ${enter}`],
        ['begins or ends with a space', `${'\u007f'.repeat(10)}${signingSecret()}${enter}`],
        ['Slack bot or user token', `${botToken()}${enter}`],
        ['Slack refresh token', enter],
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
      await db.query(
        'SELECT i.name, i.platform, i.refresh_token, w.name AS workspace FROM integrations i JOIN workspaces w ON w.id = i.workspace_id',
      ),
    ).toEqual([{ name: 'support', platform: 'slack', refresh_token: null, workspace: 'Acme' }])
    expect([await revealed(env), await revealed(env, 'access-token')]).toEqual([signingSecret(), botToken()])
  })

  test('what flags say is not asked, and an existing workspace can be chosen', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: 'pylon-token-1' }
    for (const name of ['Acme', 'Beta'])
      expect(await integrations(['workspaces', 'add', name], { env })).toMatchObject({ code: 0 })
    const { code, screen } = await converse(
      ['add', '--platform', 'pylon', '--access-token-env', 'TOKEN'],
      [
        ['Workspace', `${down}${enter}`],
        ['Name of the integration', `desk${enter}`],
        ['Pylon webhook secret', enter],
      ],
      { env },
    )
    expect(code).toBe(0)
    expect(screen).not.toContain('Platform')
    expect(screen).toContain('# it has no webhook secret yet')
    expect(
      await db.query(
        'SELECT i.name, i.webhook_secret, w.name AS workspace FROM integrations i JOIN workspaces w ON w.id = i.workspace_id',
      ),
    ).toEqual([{ name: 'desk', webhook_secret: null, workspace: 'Beta' }])
    expect(await revealed(env, 'access-token', 'desk')).toBe('pylon-token-1')
  })

  test('rotate asks which secret, and for its value', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const added = await integrations(
      ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', '--webhook-secret-stdin'],
      { env, input: `${signingSecret(1)}\n` },
    )
    expect(added.code).toBe(0)

    const refused = await converse(
      ['rotate', 'support'],
      [
        ['Which secret', enter],
        ['New Slack signing secret', `${signingSecret(2)}\u0003`],
      ],
      { env },
    )
    expect(refused.code).toBe(130)
    expect(refused.screen).toContain('cancelled; nothing was changed')
    expect(await revealed(env)).toBe(signingSecret(1))

    const agreed = await converse(
      ['rotate', 'support'],
      [
        ['Which secret', enter],
        ['New Slack signing secret', `${signingSecret(2)}${enter}`],
      ],
      { env },
    )
    expect(agreed.code).toBe(0)
    for (const { screen } of [refused, agreed]) expect(screen).not.toContain(signingSecret(2))
    expect(await revealed(env)).toBe(signingSecret(2))
  })

  test('somebody else changes it between the question and the answer: nothing is lost', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    expect(
      await integrations(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], { env }),
    ).toMatchObject({ code: 0 })
    const { code } = await converse(
      ['rotate', 'support', '--field', 'webhook-secret'],
      [
        [
          'New Slack signing secret',
          async () => {
            expect(await integrations(['update', 'support', '--slack-team-id', 'T012AB3CD'], { env })).toMatchObject({
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
      await integrations(['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support'], { env }),
    ).toMatchObject({ code: 0 })
    const wrong = await converse(['remove', 'Acme/support'], [['Type support to go on', `yes${enter}`]], { env })
    expect(wrong.code).toBe(130)
    expect(wrong.screen).toContain('nothing of it is kept')
    expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'support' }])
    const right = await converse(['remove', 'Acme/support'], [['Type support to go on', `support${enter}`]], { env })
    expect(right.code).toBe(0)
    for (const table of ['integrations', 'integration_versions', 'integration_secrets'])
      expect(await db.query(`SELECT * FROM ${table}`)).toEqual([])
    expect(await db.query('SELECT name FROM workspaces')).toEqual([{ name: 'Acme' }])
  })

  test.each([
    ['--no-input', {}],
    ['CI', { CI: 'true' }],
  ])('%s: nobody is asked, on a terminal either', async (flag, more) => {
    const db = await freshDatabase(kind)
    const { code, screen } = await converse(['add', ...(flag === 'CI' ? [] : [flag])], [], {
      env: { DATABASE_URL: db.url, ...more },
    })
    expect({ code, screen }).toEqual({
      code: 2,
      screen: 'error: --platform is missing, and nobody can be asked\r\nhint: pass --platform <platform>\r\n',
    })
  })
})

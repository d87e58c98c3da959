import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { openedStore } from '../support/keyring.ts'
import { pathWithProgram, quote, runCommand } from '../support/program.ts'
import { botToken, signingSecret, stable } from '../support/samples.ts'

const job = `
integrations workspaces add Acme
printf %s "$SECRET" | integrations add --platform slack --workspace Acme --name support --webhook-secret-stdin --access-token-env SLACK_TOKEN --no-expiry --slack-team-id T012AB3CD --config '{"slackChannels":[{"id":"C024BE91L","name":"help"}]}'
integrations list -o json --fields id,name,platform,workspace,isActive,lastUsedAt,webhookSecret
printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 0
integrations toggle Acme/support
integrations config set Acme/support slackChannels[0].name=\\"triage\\"
integrations show Acme/support
`

const listed = `[
  {
    "id": "<id>",
    "name": "support",
    "platform": "slack",
    "workspace": "Acme",
    "isActive": true,
    "lastUsedAt": null,
    "webhookSecret": {
      "set": true,
      "fingerprint": "<fingerprint>",
      "setAt": "<instant>",
      "previousValidUntil": null
    }
  }
]
`

describe.each(kinds)('the main job on %s', (kind) => {
  const start = async () => {
    const db = await freshDatabase(kind)
    const env = {
      DATABASE_URL: db.url,
      PATH: pathWithProgram(),
      SECRET: signingSecret(1),
      NEW: signingSecret(2),
      SLACK_TOKEN: botToken(),
    }
    return { db, env }
  }

  const stored = {
    name: 'support',
    platform: 'slack',
    workspace: 'Acme',
    webhook_secret: signingSecret(2),
    access_token: botToken(),
    refresh_token: null,
    token_expires_at: null,
    slack_team_id: 'T012AB3CD',
    version: 4,
  }

  const version = { origin: 'provided', current: truth(kind), print: 16, plain: falsehood(kind), sealed: null }

  const read = `SELECT i.name, i.platform, w.name AS workspace, i.webhook_secret, i.access_token, i.refresh_token, i.token_expires_at, i.slack_team_id, v.version
    FROM integrations i JOIN workspaces w ON w.id = i.workspace_id JOIN integration_versions v ON v.integration_id = i.id`

  test('without a terminal', async () => {
    const { db, env } = await start()
    const outcome = await runCommand('sh', ['-ec', job], { env })
    expect({
      ...outcome,
      stdout: stable(outcome.stdout).replace(/"[0-9a-f]{16}"/g, '"<fingerprint>"'),
      stderr: stable(outcome.stderr),
    }).toEqual({
      code: 0,
      stdout: `Acme\t0\t<instant>\t<id>
Acme\tsupport\tslack\ttrue\t\t\t<id>
${listed}Acme\tsupport\tslack\ttrue\t\t\t<id>
Acme\tsupport\tslack\tfalse\t\t\t<id>
Acme\tsupport\tslack\tfalse\t\t\t<id>
id\t<id>
name\tsupport
platform\tslack
workspace\tAcme
workspaceId\t<id>
isActive\tfalse
webhookSecret\t{"set":true,"fingerprint":"<fingerprint>","setAt":"<instant>","previousValidUntil":null}
accessToken\t{"set":true,"fingerprint":"<fingerprint>","setAt":"<instant>","previousValidUntil":null}
refreshToken\t{"set":false,"fingerprint":null,"setAt":null,"previousValidUntil":null}
tokenExpiresAt\t
tokenExpiry\tnever
tokenRefresh\t
app\t
slackTeamId\tT012AB3CD
slackTeamName\t
slackBotUserId\t
pylonAccountId\t
config\t{"slackChannels":[{"id":"C024BE91L","name":"triage"}]}
lastUsedAt\t
createdAt\t<instant>
createdBy\t
version\t4
owner\t
tags\t{}
note\t
lastCheck\t
refusedWebhooks\t
`,
      stderr: expect.stringContaining('the previous webhook-secret is refused from now on'),
    })
    expect(await openedStore(db)(read)).toEqual([stored])
    expect(
      await db.query(
        'SELECT field, number, origin, valid_until IS NULL AS current, length(fingerprint) AS print, key_id IS NULL AS plain, sealed FROM integration_secrets ORDER BY field, number',
      ),
    ).toEqual([
      { ...version, field: 'access_token', number: 1 },
      // The old value is not kept: it ended at once.
      { ...version, field: 'webhook_secret', number: 1, current: falsehood(kind), plain: truth(kind) },
      { ...version, field: 'webhook_secret', number: 2 },
    ])
    // Every change is in the log, after the event that made the keys known.
    expect(await db.query('SELECT action FROM integration_events ORDER BY seq')).toEqual(
      ['keys.init', 'workspace.add', 'integration.add', 'secret.rotate', 'integration.disable', 'config.change'].map(
        (action) => ({ action }),
      ),
    )
    expect(await db.query("SELECT CAST(seq AS INTEGER) AS seq FROM integration_settings WHERE key = 'head'")).toEqual([
      { seq: 6 },
    ])
  })

  test('on a terminal', async () => {
    const { db, env } = await start()
    const { code, stdout } = await runCommand('script', ['-qefc', `exec sh -ec ${quote(job)}`, '/dev/null'], {
      env: { ...env, TERM: 'dumb', SHELL: '/bin/sh' },
    })
    const screen = stdout.replaceAll('\r\n', '\n')
    expect({ code, screen: stable(screen) }).toEqual({
      code: 0,
      screen: expect.stringMatching(
        /^added the workspace Acme, id <id>\nnext: .*\nadded Acme\/support, id <id>\nnext: integrations show <id>\n\[[\s\S]*\]\nreplaced the webhook-secret of Acme\/support; [\s\S]*\nchanged Acme\/support: isActive true -> false\n[\s\S]*ON +no\n[\s\S]*VERSION +4\n$/,
      ),
    })
    for (const secret of [env.SECRET, env.NEW, env.SLACK_TOKEN]) expect(screen).not.toContain(secret)
    expect(await openedStore(db)(read)).toEqual([stored])
  })
})

// SQLite has no booleans.
const truth = (kind: string) => (kind === 'sqlite' ? 1 : true)
const falsehood = (kind: string) => (kind === 'sqlite' ? 0 : false)

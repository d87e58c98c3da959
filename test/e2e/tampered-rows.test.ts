import { expect, test } from 'vitest'
import { adoptedDatabase } from '../support/adopted.ts'
import { copyOf, freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'

const support = "WHERE name = 'support'"
const kept = 'WHERE sealed IS NOT NULL'
const current = (field: string) => `WHERE valid_until IS NULL AND field = '${field}'`
const later = "'2030-01-01 00:00:00'"
const previous = (column: string) => `integration Acme/support: integration_secrets.${column} (webhook_secret 2)`

/** What a writer of the database does, and how `audit verify` names it. */
const cases: readonly (readonly [statements: readonly string[], named: readonly string[]])[] = [
  [
    [
      `UPDATE integrations SET workspace_id = (SELECT id FROM workspaces WHERE name = 'Globex'), platform = 'pylon', is_active = FALSE,
        config = '{}', slack_team_id = 'T099ZZ9ZZ', slack_team_name = 'x', slack_bot_user_id = 'U099ZZ9ZZ', pylon_account_id = 'x',
        token_expires_at = ${later}, name = 'other' ${support}`,
    ],
    [
      'integration Globex/other: name, workspace_id, platform, token_expires_at, slack_team_id, slack_team_name, slack_bot_user_id, pylon_account_id, is_active, config',
    ],
  ],
  [
    [`UPDATE integrations SET is_active = NULL, config = NULL, token_expires_at = NULL, created_by = NULL ${support}`],
    ['integration Acme/support: token_expires_at, is_active, config, created_by'],
  ],
  [[`DELETE FROM integrations ${support}`], ['integration Acme/support: the row was removed without an event']],
  [
    [
      `INSERT INTO integrations (id, workspace_id, platform, name) SELECT 'x', workspace_id, 'slack', 'x' FROM integrations ${support}`,
      "INSERT INTO workspaces (id, name, created_at, updated_at) SELECT 'x', 'Evil', created_at, updated_at FROM workspaces WHERE name = 'Globex'",
      "INSERT INTO users (id, email, created_at, updated_at) SELECT 'x', 'eve@example.com', created_at, updated_at FROM users",
      "UPDATE workspaces SET name = 'Initech' WHERE name = 'Globex'",
    ],
    [
      'workspace Initech: name',
      'workspace Evil: no event added the row',
      'user eve@example.com: no event added the row',
      'integration Acme/x: no event added the row',
    ],
  ],
  [
    [`UPDATE integrations SET webhook_secret = NULL, access_token = refresh_token ${support}`],
    ['Acme/support webhookSecret', 'Acme/support accessToken'],
  ],
  [[`UPDATE integrations SET webhook_secret = 'plain' ${support}`], ['Acme/support webhookSecret']],
  [
    ['UPDATE integration_versions SET version = 99, app_id = NULL'],
    ['integration Acme/support: integration_versions.version, integration_versions.app_id'],
  ],
  [
    ['DELETE FROM integration_versions'],
    ['integration Acme/support: integration_versions.version, integration_versions.app_id'],
  ],
  [
    [`UPDATE integration_secrets SET valid_until = ${later} ${kept}`],
    [previous('valid_until'), 'Acme/support webhookSecret'],
  ],
  [
    [`UPDATE integration_secrets SET valid_until = '2020-01-01 00:00:00' ${kept}`],
    [previous('valid_until'), 'Acme/support webhookSecret'],
  ],
  [[`UPDATE integration_secrets SET sealed = NULL, key_id = NULL ${kept}`], [previous('sealed')]],
  [[`UPDATE integration_secrets SET sealed = 'garbage' ${kept}`], ['Acme/support webhookSecret']],
  [
    [`UPDATE integration_secrets SET sealed = (SELECT webhook_secret FROM integrations ${support}) ${kept}`],
    ['Acme/support webhookSecret'],
  ],
  [[`DELETE FROM integration_secrets ${kept}`], [previous('number')]],
  [
    [`DELETE FROM integration_secrets ${current('webhook_secret')}`],
    ['integration Acme/support: integration_secrets.number (webhook_secret 3)', 'Acme/support webhookSecret'],
  ],
  [
    [
      `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, sealed, origin, set_at, valid_until)
        SELECT integration_id, field, 0, fingerprint, key_id, sealed, origin, set_at, ${later} FROM integration_secrets ${kept}`,
    ],
    ['integration Acme/support: integration_secrets.valid_until (webhook_secret 0)', 'Acme/support webhookSecret'],
  ],
  [
    [
      `UPDATE integration_secrets SET fingerprint = '0123456789abcdef', origin = 'application', set_by = 'eve', set_at = '2020-01-01 00:00:00' ${current('webhook_secret')}`,
      `UPDATE integration_secrets SET never_expires = NOT never_expires, expires_at = ${later} ${current('access_token')}`,
    ],
    [
      `integration Acme/support: ${[
        ...['never_expires', 'expires_at'].map((column) => `integration_secrets.${column} (access_token 1)`),
        ...['fingerprint', 'origin', 'set_at', 'set_by'].map(
          (column) => `integration_secrets.${column} (webhook_secret 3)`,
        ),
      ].join(', ')}`,
    ],
  ],
  [
    ["UPDATE integration_secrets SET origin = 'x' WHERE number = 1 AND field = 'webhook_secret'"],
    ['integration Acme/support: integration_secrets'],
  ],
  [
    ["DELETE FROM workspaces WHERE name = 'Globex'", 'DELETE FROM users'],
    [
      'workspace Globex: the row was removed without an event',
      'user ana@example.com: the row was removed without an event',
      'integration Acme/support: created_by',
    ],
  ],
  [
    [
      "UPDATE users SET email = 'eve@example.com', name = 'Eve'",
      "UPDATE integration_apps SET client_id = 'x', name = 'x', platform = 'x', client_secret = 'x'",
    ],
    ['user eve@example.com: name, email', 'app x: name, platform, client_id', 'x clientSecret'],
  ],
  [['DELETE FROM integration_apps'], ['app acme: the row was removed without an event']],
  [
    [
      `UPDATE integration_findings SET code = 'never-used', integration_id = NULL, until = ${later}, reason = 'x', ignored_by = 'eve'`,
      `INSERT INTO integration_findings (id, code, until, reason, ignored_at) VALUES ('x', 'secret-missing', ${later}, 'x', ${later})`,
    ],
    [
      'finding never-used of Acme/support: code, integration_id, until, reason, ignored_by',
      'finding secret-missing everywhere: no event added the row',
    ],
  ],
  [['DELETE FROM integration_findings'], ['finding stale of Acme/support: the row was removed without an event']],
  [
    [
      `INSERT INTO integration_refresh_attempts (integration_id, id, fence, state, owner, old_fingerprint, started_at, lease_until)
        SELECT id, 'x', 1, 'needs_reauth', 'eve', 'x', created_at, created_at FROM integrations`,
    ],
    [
      `integration Acme/support: ${['id', 'fence', 'state', 'owner', 'old_fingerprint', 'started_at', 'lease_until'].map((column) => `integration_refresh_attempts.${column}`).join(', ')}`,
    ],
  ],
  [
    [
      `INSERT INTO integration_labels (integration_id, key, value) SELECT id, 'team', 'x' FROM integrations ${support}`,
      `INSERT INTO integration_labels (integration_id, key, value) SELECT id, 'owner', 'eve' FROM integrations ${support}`,
    ],
    ['integration Acme/support: integration_labels.owner, integration_labels.team'],
  ],
  [
    ["UPDATE integration_keys SET state = 'retired' WHERE purpose = 'seal'"],
    ['key: the key is retired; the log last set it active'],
  ],
  [["UPDATE integration_keys SET state = 'retired' WHERE purpose = 'audit'"], ['head']],
  [["UPDATE integration_keys SET check_value = 'x' WHERE purpose = 'seal'"], ['refused']],
  [["UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'"], ['mode off']],
  [["UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'"], ['head']],
  [["UPDATE integration_settings SET mac = NULL WHERE key = 'head'"], ['head']],
  [["UPDATE integration_settings SET seq = seq - 1 WHERE key = 'head'"], ['event 10', 'head']],
]
const removed = 'the trigger was removed'
const changed = 'the trigger was changed, or switched off'
const foreign = 'another program made the trigger'
const triggers: { readonly [K in Kind]: typeof cases } = {
  sqlite: [
    [
      [
        'DROP TRIGGER integration_events_no_delete',
        'DROP TRIGGER integration_events_format',
        'CREATE TRIGGER y BEFORE INSERT ON integration_events BEGIN SELECT RAISE(IGNORE); END',
        'CREATE TRIGGER z BEFORE UPDATE OF value ON integration_settings BEGIN SELECT RAISE(IGNORE); END',
      ],
      [
        `integration_events_no_delete: ${removed}`,
        `integration_events_format: ${removed}`,
        `y: ${foreign}`,
        `z: ${foreign}`,
      ],
    ],
  ],
  postgresql: [
    [
      [
        'DROP TRIGGER integration_events_append_only ON integration_events',
        'CREATE RULE z AS ON INSERT TO integration_events DO INSTEAD NOTHING',
      ],
      [`integration_events_append_only: ${removed}`, `z: ${foreign}`],
    ],
    [['ALTER TABLE integration_events DISABLE TRIGGER USER'], [`integration_events_append_only: ${changed}`]],
    [
      [
        'CREATE OR REPLACE FUNCTION integration_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$',
      ],
      [`integration_events_append_only: ${changed}`],
    ],
  ],
}

async function prepared(kind: Kind): Promise<TestDatabase> {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url, TOKEN: botToken(1), REFRESH: refreshToken(1) }
  const done = async (words: string, input = '') =>
    expect([words, await runInProcess(words.split(' '), { env, input })]).toMatchObject([words, { code: 0 }])
  await done('users add ana@example.com')
  await done('workspaces add Globex')
  await done('apps add acme --platform slack --client-id 1.2 --client-secret-stdin', 'client-secret-1')
  await done(
    'add --platform slack --new-workspace Acme --name support --slack-team-id T012AB3CD --created-by ana@example.com --webhook-secret-stdin --access-token-env TOKEN --refresh-token-env REFRESH --expires-in 12h --app acme',
    signingSecret(1),
  )
  await done('config set support slackEvents=["message"]')
  await done('rotate support --webhook-secret-stdin --grace 0', signingSecret(2))
  await done('rotate support --webhook-secret-stdin --grace 24h', signingSecret(3))
  const until = new Date(Date.now() + 86_400_000).toISOString()
  await done(`report ignore stale support --reason OPS-1 --until ${until}`)
  return db
}

test.each(kinds)('a later change of the same rows hides nothing, on %s', async (kind) => {
  const db = await prepared(kind)
  const env = { DATABASE_URL: db.url }
  const run = (words: string) => runInProcess(words.split(' '), { env })
  for (const statement of [
    "UPDATE integrations SET workspace_id = (SELECT id FROM workspaces WHERE name = 'Globex'), slack_team_name = 'x'",
    "UPDATE integration_secrets SET set_by = 'eve' WHERE valid_until IS NULL AND field = 'webhook_secret'",
    'UPDATE integration_versions SET app_id = NULL',
  ])
    await db.query(statement)
  expect(await run('disable support')).toMatchObject({ code: 0 })
  const problems = async () => JSON.parse((await run('audit verify -o json')).stdout).problems.map(brief)
  const left =
    'workspace_id, slack_team_name, integration_versions.app_id, integration_secrets.set_by (webhook_secret 3)'
  expect(await problems()).toEqual([`integration Globex/support: ${left}`])
  // What is set again is as the log says.
  expect(await run('update support --slack-team-name Acme')).toMatchObject({ code: 0 })
  const rest = left.replace(' slack_team_name,', '')
  expect(await problems()).toEqual([`integration Globex/support: ${rest}`])
  // What a person has seen and explained is recorded as it is, but for secrets.
  const [{ id } = {}] = await db.query('SELECT id FROM integrations')
  const acknowledge = (row: string) =>
    runInProcess(['audit', 'acknowledge', '--row', row, '--reason', 'moved', '-o', 'table'], { env })
  expect(await acknowledge(String(id).slice(0, 5))).toMatchObject({ code: 3 })
  expect(await acknowledge(String(id).slice(0, 8))).toEqual({
    code: 0,
    stdout: 'acknowledged 1 problem\n',
    stderr: '',
  })
  expect(await problems()).toEqual(['integration Globex/support: integration_secrets.set_by (webhook_secret 3)'])
  // Of rows that begin alike, none is chosen.
  const workspaces = ['same-beginning-1', 'same-beginning-2']
  for (const one of workspaces)
    await db.query(
      'INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)',
      one,
      one,
    )
  expect(await acknowledge('same-beginning')).toEqual({
    code: 2,
    stdout: '',
    stderr: `error: several rows are named "same-beginning"\nhint: use one of: ${workspaces.map((one) => `${one} (workspace ${one})`).join(', ')}\n`,
  })
  expect(await runInProcess(['audit', 'acknowledge', '--row', 'x', '--reason', 'moved'], { env })).toEqual({
    code: 3,
    stdout: '',
    stderr: 'error: no row with the id "x" differs from the log\nhint: integrations audit verify\n',
  })
})

/** A problem in a few words. */
function brief(problem: Record<string, string> & { columns?: string[] }): string {
  const { type, name, columns = [], field, mode, keyId, trigger, seq, problem: text } = problem
  if (type) return `${type} ${name}: ${columns.join(', ') || text}`
  if (field) return `${name} ${field}`
  if (keyId) return `key: ${text}`
  if (trigger) return `${trigger}: ${text}`
  return mode ? `mode ${mode}` : seq ? `event ${seq}` : 'head'
}

test.each(kinds)('what a writer without keys changes is named, on %s', async (kind) => {
  const db = await prepared(kind)
  const all = [...cases, ...triggers[kind]]
  const named: unknown[] = []
  for (const [statements] of all) {
    const copy = await copyOf(db)
    for (const statement of statements) await copy.query(statement)
    const { stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env: { DATABASE_URL: copy.url } })
    named.push([statements, stdout === '' ? ['refused'] : JSON.parse(stdout).problems.map(brief).sort()])
  }
  expect(named).toEqual(all.map(([statements, expected]) => [statements, expected.toSorted()]))
})

test.each(kinds)(
  "in an adopted database, a row in a table of this program alone is not the application's, on %s",
  async (kind) => {
    const db = await adoptedDatabase(kind, 'off')
    const env = { DATABASE_URL: db.url }
    for (const statement of [
      `INSERT INTO integration_apps (id, platform, name, client_id, client_secret, key_id, created_at) VALUES ('x', 'slack', 'x', '1', 'x', 'x', ${later})`,
      `INSERT INTO integration_findings (id, code, until, reason, ignored_at) VALUES ('x', 'stale', ${later}, 'x', ${later})`,
      `INSERT INTO integration_policies (name, expiry_required, owner_required, updated_at) VALUES ('x', FALSE, FALSE, ${later})`,
    ])
      await db.query(statement)
    // Which records the rows that the application may have put in.
    expect(await runInProcess(['db', 'migrate'], { env })).toMatchObject({ code: 0 })
    const { stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
    expect(
      JSON.parse(stdout)
        .problems.filter((one: object) => 'columns' in one)
        .map(brief),
    ).toEqual([
      'app x: no event added the row',
      'finding stale everywhere: no event added the row',
      'policy x: no event added the row',
    ])
  },
)

test.each(kinds)("in an adopted database, labels of an integration are not the application's, on %s", async (kind) => {
  const db = await adoptedDatabase(kind, 'off')
  const env = { DATABASE_URL: db.url }
  const [{ id } = { id: '' }] = await db.query('SELECT id FROM integrations ORDER BY id LIMIT 1')
  const done = await runInProcess(['update', String(id), '--tag', 'env=production', '--owner', 'ana'], { env })
  expect(done).toMatchObject({ code: 0 })
  await db.query("DELETE FROM integration_labels WHERE key = 'env'")
  await db.query('UPDATE integrations SET is_active = FALSE WHERE id = ?', String(id))
  const { code, stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
  const { problems, changedByApplication } = JSON.parse(stdout)
  expect(JSON.stringify(changedByApplication)).not.toContain('labels')
  expect([code, problems, changedByApplication]).toEqual([
    8,
    [expect.objectContaining({ columns: ['integration_labels.env'] })],
    expect.arrayContaining([expect.objectContaining({ columns: ['is_active'] })]),
  ])
})

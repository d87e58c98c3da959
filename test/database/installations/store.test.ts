import { copyFileSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  createStore,
  type Installation,
  type IntegrationStore,
  type IntegrationView,
} from '../../../src/installations/store.ts'
import { createReceiver } from '../../../src/receiver/receiver.ts'
import { acme, adoptedDatabase, encryptionModes } from '../../support/adopted.ts'
import { contents, kinds, type TestDatabase } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { openedStore, testKeyFile } from '../../support/keyring.ts'
import { freshFolder, runProgram } from '../../support/program.ts'
import { botToken, refreshToken, signingSecret } from '../../support/samples.ts'

const left: IntegrationStore[] = []
afterEach(async () => {
  for (const store of left.splice(0)) await store.close()
})

async function storeOf(db: Pick<TestDatabase, 'url'>): Promise<IntegrationStore> {
  const store = await createStore({ database: db.url, keys: { file: testKeyFile() } })
  left.push(store)
  return store
}

const slack: Installation = {
  workspaceId: acme.workspaceId,
  platform: 'slack',
  name: 'T012AB3CD',
  secrets: { webhookSecret: signingSecret(), accessToken: botToken(1) },
  slackTeamId: 'T012AB3CD',
  slackTeamName: 'Acme Inc.',
  config: { slackEvents: ['message'] },
  createdBy: acme.userId,
}
const ana = { actor: 'ana' }

const brief = ({ outcome, integration }: { outcome: string; integration: IntegrationView }) => [
  outcome,
  integration.version,
  integration.isActive,
  integration.tokenExpiresAt,
]

/** What the log says of the integration, and who is said to have done it. */
const events = async (db: TestDatabase, id: string) =>
  (
    await db.query(
      'SELECT action, fields, declared_as, ci_identity FROM integration_events WHERE target_id = ? ORDER BY seq',
      id,
    )
  ).map(({ action, fields, declared_as, ci_identity }) => [action, fields, declared_as, ci_identity])

test('a relative path is one of the working directory, as for the command', async () => {
  const db = await adoptedDatabase('sqlite', 'off')
  const path = relative(process.cwd(), db.url.slice('file:'.length))
  const [store, receiver] = await Promise.all([
    storeOf({ url: `file:${path}` }),
    createReceiver({ database: `file:${path}`, keys: { file: testKeyFile() }, onError: () => {} }),
  ])
  await receiver.close()
  expect(await store.list(acme.workspaceId)).toHaveLength(1)
})

describe.each(kinds)('the store on %s', (kind) => {
  test.each(encryptionModes)('in the mode %s, installs, replaces, pauses and removes', async (mode) => {
    const db = await adoptedDatabase(kind, mode)
    const store = await storeOf(db)
    const others = await contents(db)

    const added = await store.add(slack, ana)
    const { id } = added.integration
    expect([brief(added), added.warnings]).toEqual([['added', 1, true, null], []])
    expect(await store.find(id)).toEqual(added.integration)
    expect((await store.list(acme.workspaceId)).map((one) => one.name)).toEqual(['T012AB3CD', 'support'])

    // The callback of the same team runs again: with what is there, with a new token, and on a second process.
    const again = { ifExists: 'update', graceMs: 0, ...ana } as const
    expect(brief(await store.add(slack, again))).toEqual(['unchanged', 1, true, null])
    expect(brief(await store.add({ ...slack, secrets: { accessToken: botToken(2) } }, { ifExists: 'keep' }))).toEqual([
      'unchanged',
      1,
      true,
      null,
    ])
    const expiry = new Date('2027-01-31T12:00:00.000Z')
    const renewed = { ...slack, secrets: { accessToken: botToken(2) }, tokenExpiresAt: expiry }
    expect(brief(await (await storeOf(db)).add(renewed, again))).toEqual(['changed', 2, true, expiry.toISOString()])

    const rotated = await store.rotate(id, { webhookSecret: signingSecret(2) }, { graceMs: 3_600_000, actor: 'ben' })
    expect([brief(rotated), rotated.fields]).toEqual([['changed', 3, true, expiry.toISOString()], ['webhookSecret']])
    const repeated = await store.rotate(id, { webhookSecret: signingSecret(2) }, { graceMs: 3_600_000 })
    expect([brief(repeated), repeated.fields]).toEqual([['unchanged', 3, true, expiry.toISOString()], []])

    expect(brief(await store.disable(id, ana))).toEqual(['changed', 4, false, expiry.toISOString()])
    expect(brief(await store.disable(id))).toEqual(['unchanged', 4, false, expiry.toISOString()])
    expect(brief(await store.enable(id))).toEqual(['changed', 5, true, expiry.toISOString()])

    const [row] = await db.query('SELECT * FROM integrations WHERE id = ?', id)
    expect(row?.webhook_secret === signingSecret(2)).toBe(mode === 'off')
    const [open] = await openedStore(db)('SELECT * FROM integrations WHERE id = ?', id)
    expect(open).toMatchObject({
      workspace_id: acme.workspaceId,
      created_by: acme.userId,
      slack_team_name: 'Acme Inc.',
      webhook_secret: signingSecret(2),
      access_token: botToken(2),
      refresh_token: null,
    })
    const previous = 'SELECT sealed FROM integration_secrets WHERE sealed IS NOT NULL'
    expect(await openedStore(db)(previous)).toEqual([{ sealed: signingSecret(1) }])
    const setBy = 'SELECT field, number, set_by FROM integration_secrets ORDER BY field, number'
    expect((await db.query(setBy)).filter(({ set_by }) => set_by !== null && set_by !== 'application')).toEqual(
      expect.arrayContaining([
        { field: 'access_token', number: 2, set_by: 'application:ana' },
        { field: 'webhook_secret', number: 1, set_by: 'application:ana' },
        { field: 'webhook_secret', number: 2, set_by: 'application:ben' },
      ]),
    )

    expect((await store.remove(id, ana)).version).toBe(5)
    expect(await store.find(id)).toBeUndefined()
    expect(await events(db, id)).toEqual([
      ['integration.add', 'webhook_secret,access_token', 'application:ana', null],
      ['secret.rotate', 'access_token,token_expires_at', 'application:ana', null],
      ['secret.rotate', 'webhook_secret', 'application:ben', null],
      ['integration.disable', 'is_active', 'application:ana', null],
      ['integration.enable', 'is_active', 'application', null],
      ['integration.remove', 'webhook_secret,access_token', 'application:ana', null],
    ])
    const { integration_events, integration_settings, ...rest } = await contents(db)
    expect(rest).toEqual(Object.fromEntries(Object.entries(others).filter(([table]) => table in rest)))
    const verified = await runInProcess(['audit', 'verify'], { env: { DATABASE_URL: db.url } })
    expect(verified).toMatchObject({ code: 0 })
  })

  test('refuses what the command refuses, in the words of its options, and nothing is changed', async () => {
    const db = await adoptedDatabase(kind, 'required')
    const store = await storeOf(db)
    const { integration } = await store.add(slack)
    await store.rotate(integration.id, { webhookSecret: signingSecret(2) }, { graceMs: 60_000 })
    const { id } = integration
    const before = await contents(db)
    const other = { ...slack, name: 'other' }
    const graceMs = 0
    const refused: [string, () => Promise<unknown>, string, string][] = [
      [
        'taken',
        () => store.add(slack),
        'ALREADY_EXISTS',
        'choose another name, or pass ifExists: "update" to update the integration, or ifExists: "keep" to leave it as it is',
      ],
      [
        'quoted',
        () => store.rotate(id, { accessToken: `"${botToken(3)}"` }, { graceMs }),
        'BAD_INPUT',
        'pass the value alone, as Slack shows it, or pass forceShape: true to accept it as it is',
      ],
      [
        'blank',
        () => store.rotate(id, { accessToken: ' ' }, { graceMs }),
        'BAD_INPUT',
        'pass the secret as the platform shows it',
      ],
      [
        'no secret',
        () => store.rotate(id, {}, { graceMs }),
        'BAD_INPUT',
        'pass at least one of webhookSecret, accessToken, refreshToken',
      ],
      [
        'grace period',
        () => store.rotate(id, { webhookSecret: signingSecret(3) }, { graceMs }),
        'GRACE_PERIOD_ACTIVE',
        `wait, pass endPrevious: true, or run integrations secrets finish ${id} webhook-secret`,
      ],
      [
        'too long',
        () => store.rotate(id, { accessToken: botToken(3) }, { graceMs: 8 * 86_400_000 }),
        'BAD_INPUT',
        'pass a shorter graceMs, as in graceMs: 86400000',
      ],
      [
        'not a number',
        () => store.rotate(id, { accessToken: botToken(3) }, { graceMs: Number.NaN }),
        'BAD_INPUT',
        'pass a number of milliseconds as graceMs, 0 for none',
      ],
      [
        'an expiry alone',
        () => store.add({ ...other, secrets: {}, tokenExpiresAt: 'never' }),
        'BAD_INPUT',
        'pass the access token too, as in accessToken',
      ],
      [
        'a wrong id',
        () => store.add({ ...other, slackTeamId: 'acme' }),
        'BAD_INPUT',
        'correct the value, or pass forceShape: true to accept it',
      ],
      [
        'an empty id',
        () => store.add({ ...other, slackTeamId: '' }),
        'BAD_INPUT',
        'leave slackTeamId out; integrations update <ref> --unset slack-team-id clears the value',
      ],
      [
        'no options',
        () => store.rotate(id, { accessToken: botToken(3) }, undefined as never),
        'BAD_INPUT',
        'pass a number of milliseconds as graceMs, 0 for none',
      ],
      [
        'a foreign id',
        () => store.add({ ...other, pylonAccountId: '1' }),
        'BAD_INPUT',
        'Slack has slackTeamId, slackTeamName, slackBotUserId',
      ],
      [
        'config',
        () => store.add({ ...other, config: { slackEvents: 1 } as never }),
        'BAD_INPUT',
        'integrations config schema slack',
      ],
      [
        'a workspace’s name',
        () => store.add({ ...other, workspaceId: 'Acme' }),
        'NOT_FOUND',
        'integrations workspaces list',
      ],
      [
        'a user’s address',
        () => store.add({ ...other, createdBy: 'ana@example.com' }),
        'NOT_FOUND',
        'integrations users list',
      ],
      ['a name', () => store.disable('T012AB3CD'), 'NOT_FOUND', 'pass the id of an integration, as add returns it'],
      [
        'the beginning of an id',
        () => store.remove(id.slice(0, 8)),
        'NOT_FOUND',
        'pass the id of an integration, as add returns it',
      ],
      ['no text', () => store.find(['x'] as never), 'BAD_INPUT', 'pass a text as id'],
      [
        'an actor of two lines',
        () => store.disable(id, { actor: 'ana\nroot' }),
        'BAD_INPUT',
        'pass printable text as actor, 500 characters at most',
      ],
    ]
    const answers = await Promise.all(
      refused.map(async ([what, call]) => {
        const error = await call().then(
          () => ({ code: 'done', hint: '' }),
          (error: { code: string; hint: string }) => error,
        )
        return [what, error.code, error.hint]
      }),
    )
    expect(answers).toEqual(refused.map(([what, , code, hint]) => [what, code, hint]))
    expect(await contents(db)).toEqual(before)
  })

  test('a value of another shape is accepted when that is asked for, and warned of', async () => {
    const db = await adoptedDatabase(kind, 'off')
    const store = await storeOf(db)
    const { warnings, integration } = await store.add(
      { ...slack, secrets: { accessToken: 'an-unusual-token' } },
      { forceShape: true },
    )
    expect(warnings).toEqual([expect.stringMatching(/^a Slack bot or user token should /)])
    expect(
      await store.rotate(integration.id, { accessToken: 'one-more-token' }, { graceMs: 0, forceShape: true }),
    ).toMatchObject({ outcome: 'changed', warnings: [expect.any(String)] })
  })

  test('an actor is one of the application, whatever the name', async () => {
    const db = await adoptedDatabase(kind, 'required')
    const store = await storeOf(db)
    const { integration } = await store.add(
      { ...slack, secrets: { refreshToken: refreshToken() } },
      { actor: 'receiver' },
    )
    await store.disable(integration.id, { actor: 'github:ana:1' })
    expect(await events(db, integration.id)).toEqual([
      ['integration.add', 'refresh_token', 'application:receiver', null],
      ['integration.disable', 'is_active', 'application:github:ana:1', null],
    ])
    expect(await db.query("SELECT set_by FROM integration_secrets WHERE field = 'refresh_token'")).toEqual([
      { set_by: 'application:receiver' },
    ])
  })

  test('what is under way ends before the store is closed, and nothing begins after', async () => {
    const db = await adoptedDatabase(kind, 'required')
    const store = await storeOf(db)
    const adding = store.add(slack)
    await store.close()
    expect(await adding).toMatchObject({ outcome: 'added' })
    await expect(store.list(acme.workspaceId)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: 'the store is closed',
    })
  })
})

test('keys that a function gives are asked for once, and again when the database has others', async () => {
  const db = await adoptedDatabase('sqlite', 'required')
  const file = join(freshFolder(), 'keys.json')
  copyFileSync(testKeyFile(), file)
  let asked = 0
  const set = async () => {
    asked++
    return readFileSync(file, 'utf8')
  }
  const store = await createStore({ database: db.url, keys: { set } })
  left.push(store)
  const { integration } = await store.add(slack)
  await store.disable(integration.id)
  expect(asked).toBe(1)
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file }
  const { stdout: key } = await runProgram(['keys', 'add', '-o', 'id'], { env })
  expect(await runProgram(['keys', 'activate', key.trim(), '-o', 'id'], { env })).toMatchObject({ code: 0 })
  await store.rotate(integration.id, { accessToken: botToken(2) }, { graceMs: 0 })
  await store.enable(integration.id)
  expect(asked).toBe(2)
  const newest = "SELECT key_id FROM integration_secrets WHERE field = 'access_token' AND valid_until IS NULL"
  expect(await db.query(newest)).toContainEqual({ key_id: key.trim() })
})

test('wrong keys and a missing database are told at once', async () => {
  const db = await adoptedDatabase('sqlite', 'off')
  const code = (options: Parameters<typeof createStore>[0]) =>
    createStore(options).then(
      () => 'created',
      (error) => error.code,
    )
  expect([
    await code({ database: db.url, keys: { set: '{"keys":[]}' } }),
    await code({ database: db.url, keys: {} as never }),
    await code({ database: db.url, keys: { set: () => Promise.reject(new TypeError('fetch failed')) } }),
    await code({ database: 'file:/nowhere/x.db', keys: { file: testKeyFile() } }),
  ]).toEqual(['KEYS_MISSING', 'KEYS_INVALID', 'KEYS_MISSING', 'DATABASE_MISSING'])
})

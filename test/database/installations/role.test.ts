import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../../src/installations/store.ts'
import { acme, adoptedDatabase, encryptionModes } from '../../support/adopted.ts'
import { contents } from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { openedStore, testKeyFile } from '../../support/keyring.ts'
import { refusal, withRoles } from '../../support/roles.ts'
import { botToken, refreshToken, signingSecret } from '../../support/samples.ts'

test.each(encryptionModes)(
  'in the mode %s, the role of an application suffices for every call of the store, and for no more',
  async (mode) => {
    const db = await adoptedDatabase('postgresql', mode)
    const owner = { DATABASE_URL: db.url }
    const run = (args: string[], env: Record<string, string>, input = '') => runInProcess(args, { env, input })
    for (const app of ['first', 'second'])
      expect(
        await run(
          ['apps', 'add', app, '--platform', 'slack', '--client-id', app, '--client-secret-stdin'],
          owner,
          'a-client-secret',
        ),
      ).toMatchObject({ code: 0 })
    const { application } = await withRoles(db)
    const store = await createStore({ database: application.url, keys: { file: testKeyFile() } })
    onTestFinished(store.close)

    const slack = {
      workspaceId: acme.workspaceId,
      platform: 'slack',
      name: 'T012AB3CD',
      slackTeamId: 'T012AB3CD',
      secrets: { webhookSecret: signingSecret(1), accessToken: botToken(1), refreshToken: refreshToken(1) },
      tokenExpiresAt: new Date('2027-01-31T12:00:00.000Z'),
      config: { slackEvents: ['message'] },
      createdBy: acme.userId,
      app: 'first',
    } as const
    const { integration } = await store.add({ ...slack, config: { slackEvents: ['message'] } }, { actor: 'ana' })
    const { id } = integration
    const replaced = await store.add(
      {
        ...slack,
        slackTeamName: 'Acme',
        secrets: { webhookSecret: signingSecret(2), accessToken: botToken(2), refreshToken: refreshToken(2) },
        tokenExpiresAt: 'never',
        config: { slackEvents: ['app_mention'] },
        app: 'second',
      },
      { ifExists: 'update', graceMs: 60_000 },
    )
    expect(replaced).toMatchObject({ outcome: 'changed', integration: { app: 'second', slackTeamName: 'Acme' } })
    // The application's own row, whose values it may have written itself.
    const values = { webhookSecret: 'a-new-webhook-secret' }
    expect(await store.rotate(acme.integrationId, values, { graceMs: 0 })).toMatchObject({ outcome: 'changed' })
    const all = { webhookSecret: signingSecret(3), accessToken: botToken(3), refreshToken: refreshToken(3) }
    await store.rotate(id, all, { graceMs: 0, endPrevious: true })
    // The next change destroys values that expired a day ago.
    await db.query(
      "UPDATE integration_secrets SET valid_until = now() - interval '2 days' WHERE valid_until IS NOT NULL",
    )
    await store.disable(id)
    await store.enable(id)
    expect(await store.list(acme.workspaceId)).toHaveLength(2)
    expect(await store.find(id)).toMatchObject({ version: 5 + (replaced.integration.version - 2), isActive: true })
    expect(
      await openedStore(db)('SELECT webhook_secret, access_token, refresh_token FROM integrations WHERE id = ?', id),
    ).toEqual([{ webhook_secret: all.webhookSecret, access_token: all.accessToken, refresh_token: all.refreshToken }])
    await store.remove(id, { actor: 'ana' })
    const { username } = new URL(application.url)
    expect(
      await db.query('SELECT DISTINCT database_role AS role FROM integration_events WHERE target_id = ?', id),
    ).toEqual([{ role: username }])
    expect(await run(['audit', 'verify'], owner)).toMatchObject({ code: 0 })

    // Of the commands, those of keys, the directory and names; and by SQL, the log and what says how secrets are kept.
    const before = await contents(db)
    for (const args of [
      ['keys', 'add'],
      ['keys', 'reencrypt'],
      ['keys', 'mode', mode === 'migrating' ? 'off' : 'migrating', '--confirm', 'migrating'],
      ['apps', 'add', 'third', '--platform', 'slack', '--client-id', 'x', '--client-secret-stdin'],
      ['apps', 'remove', 'first', '--confirm', 'first'],
      ['update', acme.integrationId, '--name', 'care'],
      ['config', 'purge', '--all'],
    ])
      expect(await run(args, { DATABASE_URL: application.url }, 'a-client-secret'), args.join(' ')).toMatchObject({
        code: 4,
        stdout: '',
      })
    for (const statement of [
      "UPDATE integration_events SET action = 'x'",
      'DELETE FROM integration_events',
      'TRUNCATE integration_events',
      "UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'",
      "UPDATE integration_settings SET value = 'own' WHERE key = 'database'",
      "INSERT INTO integration_settings (key, value, updated_at) VALUES ('x', '', now())",
      'DELETE FROM integration_settings',
      "UPDATE integration_keys SET state = 'retired'",
      "INSERT INTO integration_keys (id, purpose, state, check_value, created_at) VALUES ('x', 'seal', 'active', '', now())",
      'SELECT client_secret FROM integration_apps',
      "UPDATE integration_apps SET name = 'x'",
      'SELECT report FROM integration_receivers',
      'DELETE FROM integration_config_revisions',
      'DELETE FROM integration_versions',
      "UPDATE integration_refresh_attempts SET state = 'done'",
      "UPDATE integrations SET workspace_id = 'x'",
      "UPDATE integrations SET id = 'x'",
      'UPDATE integrations SET last_used_at = now()',
      'SELECT notes FROM integrations',
      'SELECT image FROM users',
      "UPDATE users SET name = 'x'",
      "UPDATE workspaces SET name = 'x'",
      'DELETE FROM workspaces',
      'DROP TABLE integration_events',
      'CREATE TABLE public.mine (id int)',
    ])
      expect([statement, await refusal(application.query(statement))]).toEqual([statement, '42501'])
    expect(await contents(db)).toEqual(before)
  },
)

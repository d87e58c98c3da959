import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../src/installations/store.ts'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { database } from '../support/application.ts'
import { document } from '../support/documents.ts'
import { runInProcess } from '../support/in-process.ts'
import { testKeyFile } from '../support/keyring.ts'
import { runInTerminal } from '../support/program.ts'
import { brief } from '../support/receiver.ts'
import { withRoles } from '../support/roles.ts'
import { signingSecret } from '../support/samples.ts'
import { fromSlack } from '../support/webhooks.ts'

/** What the guide shows: the tables of an application, and the views of them. */
const [tables = '', views = ''] = document('docs/adopting.md').blocks.flatMap(({ info, text }) =>
  info === 'sql' ? [text] : [],
)

const theirs = `
  INSERT INTO "Team" VALUES ('cl1team', 'Acme', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
  INSERT INTO "Member" VALUES ('cl1member', 'ana@example.com', 'Ana', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
  INSERT INTO "Connection" ("id", "teamId", "provider", "label", "createdAt", "updatedAt", "signingSecret")
    VALUES ('cl1connection', 'cl1team', 'slack', 'first', '2026-01-02 03:04:05', '2026-01-02 03:04:05', '${signingSecret(1)}');`

test('an application with other names shows its tables as views, and the whole main job works', async () => {
  const db = await database('postgresql', tables, theirs, views)
  const shown = `${db.url.replace(/:[^:@/]*@/, '@')}?schema=credentials`
  const url = `${db.url}?schema=credentials`
  const env = { DATABASE_URL: url }
  const does = async (args: string[], input?: string) => {
    const { code, stdout, stderr } = await runInProcess(args, { env, ...(input === undefined ? {} : { input }) })
    expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
    return { stdout, stderr }
  }
  const before = await db.query('SELECT * FROM "Connection"')
  const { stderr } = await does(['db', 'adopt', '-o', 'id'])
  expect(stderr.split('\n').slice(0, 2)).toEqual([
    'what changes for the application:',
    '  no table of this program refers to the tables of the application: what is kept of an integration that the application deletes stays until integrations db sweep',
  ])
  expect(stderr).toContain(`adopted ${shown}: `)
  expect(stderr).not.toContain('CREATE INDEX')
  expect(await db.query('SELECT * FROM "Connection"')).toEqual(before)
  expect(
    await db.query(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`),
  ).toEqual([{ table_name: 'Connection' }, { table_name: 'Member' }, { table_name: 'Team' }])

  // As after an upgrade: what makes a table that would refer to the views.
  await db.query('DROP TABLE credentials.integration_labels')
  await db.query("DELETE FROM credentials._prisma_migrations WHERE migration_name LIKE '%__labels'")
  await does(['db', 'migrate'])
  await does(['rotate', 'first', '--webhook-secret-stdin', '--grace', '1h'], signingSecret(2))
  const flags = [
    '--created-by',
    'ana@example.com',
    '--slack-team-id',
    'T012AB3CD',
    '--webhook-secret-stdin',
    '-o',
    'id',
  ]
  const add = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'second', ...flags]
  const id = (await does(add, signingSecret(3))).stdout.trim()
  await does(['config', 'set', 'second', 'slackEvents=["message"]'])
  await does(['config', 'patch', 'second'], 'null')
  await does(['update', 'first', '--slack-team-id', 'T998AB3CD'])
  await does(['disable', 'second'])
  await does(['enable', 'second'])
  const errors: unknown[] = []
  const receiver = await createReceiver({
    database: url,
    keys: { file: testKeyFile() },
    remember: 0,
    onError: (error) => errors.push(error),
  })
  onTestFinished(receiver.close)
  expect(brief(await receiver.slack(fromSlack(signingSecret(3))))).toEqual(['second', 'message', 1, 'current'])
  await receiver.close()
  expect(errors).toEqual([])
  await does(['keys', 'mode', 'migrating', '--confirm', 'migrating'])
  await does(['keys', 'reencrypt'])
  expect((await does(['secrets', 'reveal', 'second', 'webhook-secret'])).stdout).toBe(`${signingSecret(3)}\n`)
  expect((await does(['list', '--fields', 'name,workspace,isActive'])).stdout).toBe(
    'first\tAcme\ttrue\nsecond\tAcme\ttrue\n',
  )
  expect((await does(['db', 'status', '--fields', 'state,differences,indexesMissing'])).stdout).toBe('ready\t[]\t[]\n')
  expect(JSON.parse((await does(['audit', 'verify', '-o', 'json'])).stdout)).toMatchObject({ ok: true })
  expect(
    await db.query(
      'SELECT "label", "memberId", "slackTeamId", "lastUsedAt" IS NOT NULL AS used, "updatedAt" IS NOT NULL AS updated FROM "Connection" ORDER BY 1',
    ),
  ).toEqual([
    { label: 'first', memberId: null, slackTeamId: 'T998AB3CD', used: false, updated: true },
    { label: 'second', memberId: 'cl1member', slackTeamId: 'T012AB3CD', used: true, updated: true },
  ])

  // The role of the application suffices to remove what it has added, and leaves nothing either.
  const { application } = await withRoles({ ...db, url })
  const store = await createStore({ database: application.url, keys: { file: testKeyFile() } })
  onTestFinished(store.close)
  const [{ workspaceId = '' } = {}] = await store.list('cl1team')
  const third = await store.add({ workspaceId, platform: 'github', name: 'third', config: {} })
  await store.rotate(third.integration.id, { webhookSecret: 'a-webhook-secret' }, { graceMs: 60_000 })
  await store.rotate(third.integration.id, { webhookSecret: 'another-secret' }, { graceMs: 60_000 })
  await db.query(
    `INSERT INTO credentials.integration_health (integration_id, refused_count, refused_since, refused_at, refused_reason)
     VALUES ('${third.integration.id}', 1, now(), now(), 'signature_mismatch')`,
  )
  await store.remove(third.integration.id)

  // This program leaves nothing of what it removes, and sweeps after the application.
  const kept = async () => {
    const counts = await db.query(`SELECT integration_id AS id, 'version' AS what FROM credentials.integration_versions
      UNION ALL SELECT integration_id, 'secret' FROM credentials.integration_secrets
      UNION ALL SELECT integration_id, 'config' FROM credentials.integration_config_revisions ORDER BY 1, 2`)
    return counts.map((row) => `${row.id === id ? 'second' : row.id} ${row.what}`)
  }
  await does(['remove', 'second', '--confirm', 'second'])
  expect(await kept()).toEqual(['cl1connection secret', 'cl1connection secret', 'cl1connection version'])
  expect((await does(['db', 'sweep', '-o', 'id'])).stderr).toBe('nothing is kept of integrations that are gone\n')
  await db.query('TRUNCATE "Connection"')
  const dry = await does(['db', 'sweep', '--dry-run', '--fields', 'id,name'])
  expect(dry).toEqual({
    stdout: 'cl1connection\tAcme/first\n',
    stderr: 'would delete what is kept of 1 integration: Acme/first\n',
  })
  expect((await kept()).length).toBe(3)
  // What the view does not show may be there: the number is the proof that somebody has looked.
  const asked = { code: 2, stdout: '' }
  expect(await runInProcess(['db', 'sweep'], { env })).toEqual({
    ...asked,
    stderr: 'error: --confirm is required when prompts are off or there is no terminal\nhint: pass --confirm 1\n',
  })
  expect(await runInProcess(['db', 'sweep', '--confirm', '2'], { env })).toEqual({
    ...asked,
    stderr: 'error: --confirm is not "1"\nhint: pass --confirm 1\n',
  })
  const left = await runInTerminal(['db', 'sweep'], [['Type 1 to confirm', 'no\r']], { env, columns: 300 })
  expect(left).toMatchObject({
    code: 130,
    screen: expect.stringContaining(
      'This deletes for good what is kept of 1 integration that the view integrations does not show: Acme/first. Check first that the application has deleted them.',
    ),
  })
  expect((await kept()).length).toBe(3)
  expect(await does(['db', 'sweep', '--confirm', '1', '-o', 'id'])).toEqual({
    stdout: 'cl1connection\n',
    stderr: 'deleted what was kept of 1 integration: Acme/first\n',
  })
  expect(await kept()).toEqual([])
  expect((await does(['audit', 'list', '--action', 'integration.sweep', '--fields', 'target'])).stdout).toBe(
    'Acme/first\n',
  )
  expect(JSON.parse((await does(['audit', 'verify', '-o', 'json'])).stdout)).toMatchObject({ ok: true })
  await does(['keys', 'mode', 'required', '--confirm', 'required'])

  await db.query('DROP SCHEMA credentials CASCADE')
  expect(await db.query('SELECT count(*)::int AS n FROM "Team"')).toEqual([{ n: 1 }])
})

test.each([
  ['DISTINCT "id", "teamId" AS workspace_id', '', 'integrations is a view that takes no changes'],
  [
    'DISTINCT "id", "teamId" AS workspace_id',
    `CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
     CREATE TRIGGER change INSTEAD OF INSERT OR UPDATE OR DELETE ON credentials.integrations FOR EACH ROW EXECUTE FUNCTION change();`,
    'integrations is a view that only triggers can change',
  ],
  ['"id", lower("teamId") AS workspace_id', '', 'the database generates integrations.workspace_id'],
])('a view of SELECT %s and %j is refused', async (columns, triggers, difference) => {
  const fixed = views.replace('"id", "teamId" AS workspace_id', columns)
  const db = await database('postgresql', tables, fixed, triggers)
  expect(await runInProcess(['db', 'adopt'], { env: { DATABASE_URL: `${db.url}?schema=credentials` } })).toMatchObject({
    code: 6,
    stderr: expect.stringContaining(` 1 place from what this program can share: (1) ${difference}\n`),
  })
})

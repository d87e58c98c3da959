import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, type Kind, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess, succeeding } from '../support/in-process.ts'
import { freshFolder, runInTerminal } from '../support/program.ts'
import { signingSecret } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'

const version = 'integration_versions.version'

/** A database with one integration, whose events are keys.init, workspace.add and integration.add. */
async function start(kind: Kind) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url }
  const run = succeeding(env)
  await addSlack(env, 'support', '--slack-team-id', 'T012AB3CD')
  const shown = async (seq: number) => JSON.parse(await run(['audit', 'show', String(seq), '-o', 'json']))
  const changes = async (seq: number) => (await shown(seq)).changes
  return { db, env, run, shown, changes }
}

/** Lets the owner of the database change the log. */
async function disarm(db: TestDatabase): Promise<void> {
  if (db.kind === 'postgresql') await db.query('ALTER TABLE integration_events DISABLE TRIGGER USER')
  else for (const rule of ['update', 'delete', 'replace']) await db.query(`DROP TRIGGER integration_events_no_${rule}`)
}

describe.each(kinds)('audit show on %s', (kind) => {
  const program = runInProcess

  test('tells from what to what each field was changed, and of secrets no value', async () => {
    const { db, run, shown, changes } = await start(kind)
    await run(['workspaces', 'rename', 'Acme', 'Initech'])
    await run(['update', 'support', '--name', 'help', '--slack-team-name', 'Initech Inc', '--reason', 'OPS-1'])
    await run(['disable', 'help'])
    await run(['config', 'set', 'help', 'slackEvents=["message"]'])
    await run(['rotate', 'help', '--webhook-secret-stdin', '--grace', '0'], signingSecret(2))
    await run(['secrets', 'reveal', 'help', 'webhook-secret'])
    await run(['remove', 'help', '--confirm', 'help'])
    const [workspace] = await db.query('SELECT id FROM workspaces')
    const secret = (fingerprint: unknown) => ({
      fingerprint,
      origin: 'provided',
      set_at: expect.stringMatching(/^\d{4}-.*Z$/),
      set_by: expect.stringContaining('os:'),
      never_expires: false,
    })
    const added = await shown(3)
    const [{ to }] = added.fingerprints

    expect(await changes(1)).toEqual([])
    expect(await changes(2)).toEqual([{ field: 'name', before: null, after: 'Acme' }])
    expect(added).toMatchObject({ seq: 3, action: 'integration.add', target: 'Acme/support', verified: true })
    expect(
      added.changes.toSorted((a: { field: string }, b: { field: string }) => (a.field < b.field ? -1 : 1)),
    ).toEqual([
      { field: 'integration_secrets (webhook_secret 1)', before: null, after: secret(to) },
      { field: version, before: null, after: 1 },
      { field: 'is_active', before: null, after: true },
      { field: 'name', before: null, after: 'support' },
      { field: 'platform', before: null, after: 'slack' },
      { field: 'slack_team_id', before: null, after: 'T012AB3CD' },
      { field: 'workspace_id', before: null, after: workspace?.id },
    ])
    expect(await changes(4)).toEqual([{ field: 'name', before: 'Acme', after: 'Initech' }])
    expect(await changes(5)).toEqual([
      { field: 'name', before: 'support', after: 'help' },
      { field: version, before: 1, after: 2 },
      { field: 'slack_team_name', before: null, after: 'Initech Inc' },
    ])
    expect(await changes(6)).toEqual([
      { field: 'is_active', before: true, after: false },
      { field: version, before: 2, after: 3 },
    ])
    expect(await changes(7)).toEqual([
      { field: version, before: 3, after: 4 },
      // The former configs went with the integration.
      { field: 'config', before: null, after: expect.stringMatching(/^hmac:/) },
    ])
    const rotated = await shown(8)
    expect(rotated.changes).toEqual([
      { field: version, before: 4, after: 5 },
      { field: 'integration_secrets (webhook_secret 1)', before: secret(to), after: null },
      { field: 'integration_secrets (webhook_secret 2)', before: null, after: secret(rotated.fingerprints[0].to) },
    ])
    expect(await changes(9)).toEqual([])
    expect((await changes(10)).map(({ after }: { after: unknown }) => after)).toEqual(Array(9).fill(null))
    expect(await program(['audit', 'show', '11'], { env: { DATABASE_URL: db.url } })).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the audit log has no event 11\nhint: integrations audit list\n',
    })
  })

  test('reads well at a terminal, with and without keys, and says when another program changed the event', async () => {
    const { db, env, run } = await start(kind)
    await run(['update', 'support', '--name', 'help', '--reason', 'OPS-1', '--as', 'Ana'])
    await run(['config', 'set', 'help', 'slackEvents=["message"]'])
    const screen = async (seq: number, more: Record<string, string> = {}) =>
      (
        await runInTerminal(['audit', 'show', String(seq)], [], {
          env: { ...env, NO_COLOR: '1', ...more },
          columns: 100,
        })
      ).screen
        .trimEnd()
        .split('\r\n')
    const [first, ...lines] = await screen(4)
    expect(first).toMatch(/^SEQ +4$/)
    expect(lines).toContainEqual(expect.stringMatching(/^ACTION +integration\.update$/))
    expect(lines).toContainEqual(expect.stringMatching(/^WHO +os:.* as Ana$/))
    expect(lines).toContainEqual(expect.stringMatching(/^REASON +OPS-1$/))
    expect(lines).toContainEqual(expect.stringMatching(/^VERIFIED +true$/))
    expect(lines.slice(-2)).toEqual(['name "support" -> "help"', `${version} 1 -> 2`])
    expect((await screen(5)).slice(-2)).toEqual([`${version} 2 -> 3`, 'config slackEvents null -> ["message"]'])
    const added = await screen(3)
    expect(added).toContainEqual(expect.stringMatching(/^FIELDS +webhook_secret$/))
    expect(added).toContainEqual(expect.stringMatching(/^FINGERPRINTS +webhook_secret none -> [0-9a-f]{16}$/))
    expect(added.slice(-5)).toContain('integration_secrets (webhook_secret 1) origin null -> "provided"')
    const none = join(freshFolder(), 'none.json')
    expect((await screen(4, { INTEGRATIONS_KEYS_FILE: none })).slice(-3)).toEqual([
      'name "support" -> "help"',
      `${version} 1 -> 2`,
      `the event is not verified: the key file ${none} does not exist`,
    ])

    await disarm(db)
    await db.query("UPDATE integration_events SET state = replace(state, 'support', 'sales') WHERE seq = 3")
    const forged = await program(['audit', 'show', '4', '-o', 'json', '--fields', 'changes,verified'], { env })
    expect(forged.stderr).toBe(
      '{"level":"warning","message":"another program changed this event or the one before it: integrations audit verify"}\n',
    )
    expect(JSON.parse(forged.stdout)).toEqual({
      changes: [
        { field: 'name', before: 'sales', after: 'help' },
        { field: version, before: 1, after: 2 },
      ],
      verified: false,
    })
    // The state of before is that of an older program, which kept none.
    await db.query('UPDATE integration_events SET state = NULL WHERE seq = 3')
    expect(JSON.parse((await program(['audit', 'show', '4', '-o', 'json'], { env })).stdout).changes).toBe(null)
  })
})

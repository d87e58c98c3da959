import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contents, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { type PlatformServer, slackError, slackOk, startPlatformServer } from '../support/platform-server.ts'
import { runInTerminal } from '../support/program.ts'
import { botToken } from '../support/samples.ts'

let server: PlatformServer
beforeAll(async () => {
  server = await startPlatformServer()
})
afterAll(() => server.close())

/** Another token for every test. */
let tokens = 500
const nextToken = () => botToken(tokens++)

/** A database with integrations of the workspace Acme, each with an access token. */
async function withTokens(kind: (typeof kinds)[number], ...names: readonly string[]) {
  const db = await freshDatabase(kind)
  const env = { DATABASE_URL: db.url, INTEGRATIONS_API_URL: server.everything, NO_COLOR: '1' }
  const run = (args: readonly string[], input = '') => runInProcess(args, { env, input })
  const token: Record<string, string> = {}
  const id: Record<string, string> = {}
  await run(['workspaces', 'add', 'Acme'])
  for (const name of names) {
    token[name] = nextToken()
    const args = ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, '--access-token-stdin']
    const { code, stdout } = await run([...args, '--no-expiry', '-o', 'id'], token[name])
    expect(code).toBe(0)
    id[name] = stdout.trim()
  }
  const shown = async (name: string) => JSON.parse((await run(['show', name, '-o', 'json'])).stdout)
  const screen = async (columns: number, ...args: string[]) =>
    (await runInTerminal(args, [], { env, columns })).screen.replaceAll('\r\n', '\n')
  return { db, run, shown, screen, token, id }
}

const instant = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)

/** Has receivers have refused webhooks so many hours ago. */
const refuse = async (db: TestDatabase, id: string | undefined, count: number, hours: number) => {
  const at = new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 23)
  await db.query(
    "INSERT INTO integration_health (integration_id, refused_count, refused_since, refused_at, refused_reason) VALUES (?, ?, ?, ?, 'signature_mismatch')",
    ...[id ?? '', count, at, at],
  )
}

describe.each(kinds)('on %s', (kind) => {
  test('add --check and rotate --check keep the verdict on the token that they store, and on no other', async () => {
    const { db, run, shown } = await withTokens(kind, 'support', 'sales', 'care')
    const ok = { verdict: 'ok', code: null, at: instant }
    const add = [
      'add',
      '--platform',
      'slack',
      '--workspace',
      'Acme',
      '--name',
      'new',
      '--access-token-stdin',
      '--check',
    ]
    const [added, shared, refused] = [nextToken(), nextToken(), nextToken()]
    expect(await run([...add, '--no-expiry'], added)).toMatchObject({ code: 0 })
    expect((await shown('new')).lastCheck).toEqual(ok)
    expect(await run([...add, '--no-expiry', '--upsert', '--grace', '0'], nextToken())).toMatchObject({ code: 0 })
    expect((await shown('new')).lastCheck).toEqual(ok)

    const rotate = (name: string, token: string, ...flags: string[]) =>
      run(['rotate', name, '--access-token-stdin', '--no-expiry', '--grace', '0', ...flags], token)
    for (const name of ['support', 'sales']) await rotate(name, shared)
    server.script(refused, slackError('token_revoked'))
    expect(await rotate('support', refused, '--check')).toMatchObject({ code: 4 })
    const before = await contents(db)
    expect(await rotate('support', nextToken(), '--check', '--shared', '--dry-run')).toMatchObject({ code: 0 })
    expect((await contents(db)).integration_health).toEqual(before.integration_health)
    expect(await rotate('support', nextToken(), '--check', '--shared')).toMatchObject({ code: 0 })
    const verdicts = Promise.all(['support', 'sales', 'care'].map(async (name) => (await shown(name)).lastCheck))
    expect(await verdicts).toEqual([ok, ok, null])
    expect(await run(['audit', 'verify'])).toMatchObject({ code: 0 })
  })

  test('the last verdict of check is kept, and says nothing of another token', async () => {
    const { db, run, shown, token } = await withTokens(kind, 'revoked', 'fine', 'other', 'lost')
    server.script(token.revoked ?? '', slackError('token_revoked'))
    server.script(token.other ?? '', slackOk({ team_id: 'T777' }))
    server.script(token.lost ?? '', slackOk(), (_, request) => void request.socket.resetAndDestroy())
    await run(['update', 'other', '--slack-team-id', 'T012345'])
    expect((await shown('fine')).lastCheck).toBe(null)
    const before = await contents(db)
    await run(['check', '--all', '--no-fill'])
    const verdicts = async () =>
      Object.fromEntries(
        JSON.parse((await run(['list', '-o', 'json', '--fields', 'name,lastCheck'])).stdout).map(
          ({ name, lastCheck }: { name: string; lastCheck: unknown }) => [name, lastCheck],
        ),
      )
    const first = {
      fine: { verdict: 'ok', code: null, at: instant },
      lost: { verdict: 'ok', code: null, at: instant },
      other: { verdict: 'ok', code: 'differs', at: instant },
      revoked: { verdict: 'refused', code: 'token_revoked', at: instant },
    }
    expect(await verdicts()).toEqual(first)
    // It is no change: what was changed are the log, and its end.
    const after = await contents(db)
    for (const table of ['integrations', 'integration_versions', 'integration_secrets'])
      expect(after[table]).toEqual(before[table])

    // A platform that cannot be reached says nothing of a token.
    const { lastCheck } = await shown('lost')
    await run(['check', 'lost', '--no-fill'])
    expect((await shown('lost')).lastCheck).toEqual(lastCheck)
    await run(['rotate', 'revoked', '--access-token-stdin', '--grace', '0', '--no-expiry'], nextToken())
    expect(await verdicts()).toEqual({ ...first, revoked: null })
    await run(['check', 'revoked', '--no-fill'])
    expect((await shown('revoked')).lastCheck).toEqual({ verdict: 'ok', code: null, at: instant })
  })

  test('a list has a column for what is wrong alone, where something is, and a pipe has none', async () => {
    const { db, run, screen, token, id } = await withTokens(kind, 'billing', 'repo-sync', 'support')
    const table = async (columns: number) =>
      (await screen(columns, 'list', '--utc')).replace(/ [0-9a-f]{8}\b/g, ' xxxxxxxx')
    const quiet = `WORKSPACE  NAME       PLATFORM  ON   USED   EXPIRES  ID
Acme       billing    slack     yes  never  never    xxxxxxxx
Acme       repo-sync  slack     yes  never  never    xxxxxxxx
Acme       support    slack     yes  never  never    xxxxxxxx
`
    expect(await table(80)).toBe(quiet)
    await run(['check', 'billing', '--no-fill'])
    await refuse(db, id.support, 7, 25)
    expect(await table(80)).toBe(quiet)
    const piped = await run(['list'])

    await db.query('DELETE FROM integration_health')
    server.script(token['repo-sync'] ?? '', slackError('account_inactive'))
    await run(['check', 'billing', 'repo-sync', '--no-fill'])
    await refuse(db, id.support, 1204, 23)
    expect(await table(80)).toBe(`WORKSPACE  NAME       PLATFORM  ON   USED   EXPIRES  ID        REFUSED  CHECK
Acme       billing    slack     yes  never  never    xxxxxxxx
Acme       repo-sync  slack     yes  never  never    xxxxxxxx           refused
Acme       support    slack     yes  never  never    xxxxxxxx  1204
`)
    expect(await table(40)).toBe(`WORKSPACE  NAME       REFUSED  CHECK
Acme       billing
Acme       repo-sync           refused
Acme       support    1204
no room in 40 columns for platform, isActive, lastUsedAt, tokenExpiresAt, id
`)
    expect(await run(['list'])).toEqual(piped)
    expect((await run(['list', '-o', 'csv', '--fields', 'name,refusedWebhooks'])).stdout).toMatch(/^billing,\r?$/m)
  })

  test('show says it in a line each, and leaves out what there is not', async () => {
    const { db, run, screen, token, id } = await withTokens(kind, 'billing', 'support')
    const lines = async (name: string) =>
      (await screen(80, 'show', name)).split('\n').filter((line) => /^(LAST CHECK|REFUSED)/.test(line))
    expect(await lines('billing')).toEqual([])
    server.script(token.billing ?? '', slackError('token_revoked'))
    await run(['check', 'billing', '--no-fill'])
    await refuse(db, id.support, 1, 50)
    await db.query(
      "UPDATE integration_health SET refused_count = 12, refused_since = '2020-01-01 00:00:00', refused_at = '2020-01-02 00:00:00', refused_reason = 'signature_stale' WHERE integration_id = ?",
      id.billing ?? '',
    )
    expect(await lines('billing')).toEqual([
      'LAST CHECK        refused (token_revoked), just now',
      expect.stringMatching(/^REFUSED WEBHOOKS {2}12, the first \d+ years ago, the last \d+ years ago$/),
    ])
    expect(await lines('support')).toEqual(['REFUSED WEBHOOKS  1, 2 days ago (signature_mismatch)'])
  })

  test('what cannot be read is left out, and told', async () => {
    const { db, run, id } = await withTokens(kind, 'support')
    await run(['check', 'support', '--no-fill'])
    const spoil =
      kind === 'sqlite'
        ? "UPDATE integration_health SET checked_at = x'00ff'"
        : "UPDATE integration_health SET checked_at = 'infinity'"
    await db.query(spoil)
    for (const args of [
      ['list', '-o', 'jsonl', '--fields', 'name,lastCheck'],
      ['show', 'support', '-o', 'jsonl', '--fields', 'name,lastCheck'],
    ])
      expect(await run(args)).toMatchObject({
        code: 0,
        stdout: '{"name":"support","lastCheck":null}\n',
        stderr: expect.stringContaining(`the column health of the row \\"${id.support}\\" cannot be read`),
      })
    // A command that a filter chose the integration for goes on.
    expect(await run(['refresh', '--all'])).toMatchObject({ code: 0 })
    expect(JSON.parse((await run(['audit', 'verify', '-o', 'json'])).stdout).problems).toEqual([
      expect.objectContaining({ table: 'integration_health', id: id.support }),
    ])
  })
})

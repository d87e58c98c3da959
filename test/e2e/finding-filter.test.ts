import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'

describe.each(kinds)('integrations by what a report finds of them, on %s', (kind) => {
  /** A database with integrations of a platform that is not known, and as many without a fault of their own. */
  async function start(names: readonly string[]) {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
    await runInProcess(['workspaces', 'add', 'Acme'], { env })
    await db.query(
      `INSERT INTO integrations (id, workspace_id, platform, name, is_active)
       SELECT p.platform || '-' || n.name, w.id, p.platform, n.name, ${kind === 'sqlite' ? 1 : true} FROM workspaces w
       CROSS JOIN (SELECT column1 AS name FROM (VALUES ${names.map((name) => `('${name}')`).join()}) v) n
       CROSS JOIN (SELECT 'other' AS platform UNION ALL SELECT 'github') p`,
    )
    const list = async (...args: string[]) => {
      const { code, stdout, stderr } = await runInProcess(['list', '-o', 'id', ...args], { env })
      return code === 0 ? stdout.split('\n').slice(0, -1) : [code, stderr]
    }
    return { db, env, list }
  }

  const unknown = ['--finding', 'platform-unknown']

  test('are listed by any of several findings, and by other filters too', async () => {
    const { list } = await start(['a', 'b'])
    expect(await list(...unknown)).toEqual(['other-a', 'other-b'])
    expect(await list('--finding', 'secret-unknown')).toEqual(['github-a', 'github-b'])
    expect(await list(...unknown, '--finding', 'secret-unknown', '--sort', '-name')).toEqual([
      'github-b',
      'other-b',
      'github-a',
      'other-a',
    ])
    expect(await list(...unknown, '--name', 'b')).toEqual(['other-b'])
    expect(await list(...unknown, '--platform', 'github')).toEqual([])
    expect(await list(...unknown, '--expired')).toEqual([])
  })

  test('are listed a page after the other', async () => {
    const { env, list } = await start(['a', 'b', 'c', 'd', 'e'])
    const pages: unknown[] = []
    for (let after: string[] = []; ; ) {
      const page = await list(...unknown, '--sort', '-name', '--limit', '2', ...after)
      pages.push(page)
      if (page.length < 2) break
      after = ['--cursor', String(page.at(-1))]
    }
    expect(pages).toEqual([['other-e', 'other-d'], ['other-c', 'other-b'], ['other-a']])
    const { code, screen } = await runInTerminal(['list', ...unknown, '--limit', '2', '--fields', 'id'], [], { env })
    expect([code, screen.trimEnd().split('\r\n')]).toEqual([
      0,
      ['ID', 'other-a', 'other-b', '3 more: add --all, or --cursor other-b'],
    ])
  })

  test('are listed in a table that is measured before it is drawn, and cut', async () => {
    const names = Array.from({ length: 1600 }, (_, n) => `n${String(n).padStart(4, '0')}`)
    const { env } = await start(names)
    const args = ['list', ...unknown, '-o', 'table', '--fields', 'name', '--limit', '1001']
    expect(await runInProcess(args, { env })).toEqual({
      code: 0,
      stdout: ['NAME', ...names.slice(0, 1001), ''].join('\n'),
      stderr: '599 more: add --all, or --cursor other-n1000\n',
    })
  })

  test('are what check and refresh are for', async () => {
    const { db, env } = await start(['a'])
    const ids: string[] = []
    const app = ['apps', 'add', 'bot', '--platform', 'slack', '--client-id', '1.2', '--client-secret-env', 'S']
    await runInProcess(app, { env: { ...env, S: 'client-secret-of-a-test' } })
    for (const n of [1, 2]) {
      const secrets = [
        '--webhook-secret-env',
        'W',
        '--access-token-env',
        'A',
        '--refresh-token-env',
        'R',
        '--app',
        'bot',
      ]
      const { stdout } = await runInProcess(
        ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', `n${n}`, '--no-expiry', '-o', 'id', ...secrets],
        { env: { ...env, W: signingSecret(1), A: botToken(n), R: refreshToken(n) } },
      )
      ids.push(stdout.trim())
    }
    const soon = new Date(Date.now() + 1_800_000).toISOString().replace('Z', '+00:00')
    await db.query('UPDATE integrations SET token_expires_at = ? WHERE id = ?', soon, ids[1] ?? '')
    const overdue = ['--finding', 'refresh-overdue', '-o', 'json', '--fields', 'id']
    const refreshed = await runInProcess(['refresh', ...overdue, '--dry-run'], { env })
    expect([refreshed.code, JSON.parse(refreshed.stdout)]).toEqual([0, [{ id: ids[1] }]])
    const INTEGRATIONS_API_URL = 'slack=http://127.0.0.1:1/'
    const checked = await runInProcess(['check', ...overdue, '--allow-private'], {
      env: { ...env, INTEGRATIONS_API_URL },
    })
    expect([checked.code, JSON.parse(checked.stdout)]).toEqual([7, [{ id: ids[1] }]])
  })

  test('a report tells some findings only, those of the database included', async () => {
    const { env } = await start(['a'])
    const report = async (...args: string[]) => {
      const { code, stdout } = await runInProcess(['report', '-o', 'jsonl', ...args], { env })
      return [
        code,
        ...stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line).code),
      ]
    }
    expect(await report('--fail-on', 'unknown')).toEqual([8, 'secret-unknown', 'platform-unknown', 'use-not-recorded'])
    expect(await report('--fail-on', 'unknown', ...unknown)).toEqual([8, 'platform-unknown'])
    expect(await report(...unknown, '--finding', 'use-not-recorded')).toEqual([
      0,
      'platform-unknown',
      'use-not-recorded',
    ])
    expect(await report('--fail-on', 'unknown', '--finding', 'stale')).toEqual([0])
  })

  test('a code that is not known, or is about the database, is refused', async () => {
    const { env, list } = await start(['a'])
    const refused = (hint: string) => [2, `error: option '--finding <code>' does not take that value\nhint: ${hint}\n`]
    expect(await list('--finding', 'token-expird')).toEqual(
      refused('did you mean token-expired? integrations report --help lists the codes'),
    )
    expect(await list('--finding', 'stale,never-used')).toEqual(refused('give --finding once for each code'))
    expect(await list('--finding', 'something')).toEqual(refused('integrations report --help lists the codes'))
    expect(await list('--finding', 'receiver-silent')).toEqual(
      refused('receiver-silent is about the database, and not about an integration'),
    )
    expect(await runInProcess(['check', 'Acme/a', ...unknown], { env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('integrations are given both by reference and by filter'),
    })
  })
})

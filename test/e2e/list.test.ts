import { spawn } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { allRows } from '../../src/store/all-rows.ts'
import { openStore } from '../../src/store/open.ts'
import type { Page } from '../../src/store/tables/page.ts'
import { integrationSorts } from '../../src/store/tables/sorts.ts'
import { addMany, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { storeOptions } from '../support/keyring.ts'
import { bin, runInTerminal, runProgram } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const day = 86_400_000
/** A timestamp as either database stores it. */
const at = (days: number) => new Date(Date.now() + days * day).toISOString().replace('Z', '+00:00')

async function insert(
  db: TestDatabase,
  table: string,
  rows: Record<string, string | number | boolean | null>[],
): Promise<void> {
  const columns = Object.keys(rows[0] ?? {})
  for (let i = 0; i < rows.length; i += 100) {
    const part = rows.slice(i, i + 100)
    const values = part.map(() => `(${columns.map(() => '?').join(', ')})`).join(', ')
    await db.query(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${values}`,
      ...part.flatMap((row) => columns.map((column) => row[column] ?? null)),
    )
  }
}

const workspaces = (...names: string[]) =>
  names.map((name) => ({ id: `w-${name}`, name, created_at: at(-100), updated_at: at(-100) }))

describe.each(kinds)('list on %s', (kind) => {
  const run = runInProcess

  test('pages of 33 show each of 1,000 rows once, in every order', async () => {
    const db = await freshDatabase(kind)
    await insert(db, 'workspaces', workspaces('Acme', 'acme', 'Östra'))
    // Timestamps shared to the millisecond, apart by microseconds where the database keeps them, and nulls.
    const microseconds = (i: number) =>
      kind === 'postgresql'
        ? `2026-01-0${1 + (i % 3)} 00:00:00.123${String(i % 7).padStart(3, '0')}`
        : `2026-01-0${1 + (i % 3)}T00:00:00.123+00:00`
    await insert(
      db,
      'integrations',
      Array.from({ length: 1000 }, (_, i) => ({
        id: `id-${String((i * 617) % 1000).padStart(4, '0')}`,
        workspace_id: ['w-Acme', 'w-acme', 'w-Östra'][i % 3] ?? '',
        platform: i % 2 === 0 ? 'slack' : 'pylon',
        name: i % 10 === 0 ? 'same' : `name ${i % 100} ${'äÄaA'[i % 4]}`,
        is_active: ([true, false, null] as const)[i % 3] ?? null,
        created_at: microseconds(i),
        last_used_at: i % 4 === 0 ? null : microseconds(i),
        token_expires_at: i % 5 === 0 ? microseconds(i) : null,
      })),
    )
    // Within one process: a page of the program's own would cost a start of it.
    const store = await openStore(storeOptions(db))
    const read = async (page: Page) =>
      (await store.snapshot((db) => allRows(db.integrations.list({}, page)))).map(({ id }) => id)
    for (const sort of integrationSorts) {
      for (const descending of [false, true]) {
        const all = await read({ sort, descending })
        expect([sort, descending, new Set(all).size]).toEqual([sort, descending, 1000])
        const walked = await read({ sort, descending, limit: 33 })
        for (let page = walked; page.length > 0; walked.push(...page))
          page = await read({ sort, descending, limit: 33, cursor: walked.at(-1) ?? '' })
        expect([sort, descending, walked]).toEqual([sort, descending, all])
      }
    }
    await store.close()

    const env = { DATABASE_URL: db.url }
    const ids = async (...args: string[]) =>
      (await run(['list', '-o', 'id', '--sort=-lastUsedAt', ...args], { env })).stdout.split('\n').slice(0, -1)
    const all = await ids()
    expect(await ids('--limit', '33', '--cursor', all[499] ?? '')).toEqual(all.slice(500, 533))
    // Nulls come last both ways.
    for (const sort of ['lastUsedAt', '-lastUsedAt']) {
      const { stdout } = await run(['list', '--fields', 'lastUsedAt', `--sort=${sort}`], { env })
      const values = stdout.split('\n').slice(0, -1)
      expect(values.slice(750).every((value) => value === '')).toBe(true)
      expect(values.slice(0, 750).every((value) => value !== '')).toBe(true)
    }
  })

  test('filters combine, and treat what is unknown as their help says', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: botToken() }
    const run = async (args: string[], input = '') => {
      const outcome = await runInProcess(args, { env, input })
      expect(outcome).toMatchObject({ code: 0 })
      return outcome
    }
    await run(['workspaces', 'add', 'Acme'])
    await run(['workspaces', 'add', 'Beta'])
    await run(['users', 'add', 'ana@example.com', '--name', 'Ana'])
    const slack = (name: string, ...more: string[]) =>
      run(['add', '--platform', 'slack', '--workspace', 'Acme', '--name', name, ...more], signingSecret())
    await slack('complete', '--webhook-secret-stdin', '--access-token-env', 'TOKEN', '--no-expiry')
    await slack('token of unknown end', '--access-token-env', 'TOKEN', '--created-by', 'ana@example.com')
    await slack('ends in 6 h', '--webhook-secret-stdin', '--access-token-env', 'TOKEN', '--expires-in', '6h')
    await slack(
      'ended',
      '--webhook-secret-stdin',
      '--access-token-env',
      'TOKEN',
      '--expires-at',
      '2026-01-31T12:00:00+02:00',
    )
    await slack('NOTHING')
    await run(['add', '--platform', 'pylon', '--workspace', 'Beta', '--name', '100%_desk'])
    await db.query("UPDATE integrations SET last_used_at = ? WHERE name = 'complete'", at(-3))
    await db.query("UPDATE integrations SET last_used_at = ? WHERE name = 'ended'", at(-40))
    await db.query("UPDATE integrations SET is_active = NULL WHERE name = 'complete'")
    await run(['disable', 'ended'])

    const names = async (...args: string[]) =>
      (await run(['list', '--fields', 'name', ...args])).stdout.split('\n').slice(0, -1)
    const every = ['NOTHING', 'complete', 'ended', 'ends in 6 h', 'token of unknown end', '100%_desk']
    expect(await names()).toEqual(every)
    expect(await names('--workspace', 'Beta')).toEqual(['100%_desk'])
    expect(await names('--platform', 'pylon')).toEqual(['100%_desk'])
    expect(await names('--active')).toEqual(['NOTHING', 'complete', 'ends in 6 h', 'token of unknown end', '100%_desk'])
    expect(await names('--inactive')).toEqual(['ended'])
    expect(await names('--name', 'NoThInG')).toEqual(['NOTHING'])
    expect(await names('--name', '%')).toEqual(['100%_desk'])
    expect(await names('--name', '_')).toEqual(['100%_desk'])
    expect(await names('--created-by', 'ana@example.com')).toEqual(['token of unknown end'])
    expect(await names('--expiring', '7d')).toEqual(['ended', 'ends in 6 h', 'token of unknown end'])
    expect(await names('--expiring', '1h')).toEqual(['ended', 'token of unknown end'])
    expect(await names('--expiry', 'never')).toEqual(['complete'])
    expect(await names('--expiry', 'dated')).toEqual(['ended', 'ends in 6 h'])
    expect(await names('--expiry', 'unknown')).toEqual(['token of unknown end'])
    expect(await names('--expiry', 'none')).toEqual(['NOTHING', '100%_desk'])
    expect(await names('--stale', '30d')).toEqual([
      'NOTHING',
      'ended',
      'ends in 6 h',
      'token of unknown end',
      '100%_desk',
    ])
    expect(await names('--stale', '1d')).toEqual(every)
    expect(await names('--never-used')).toEqual(['NOTHING', 'ends in 6 h', 'token of unknown end', '100%_desk'])
    expect(await names('--missing-secret')).toEqual(['NOTHING', 'token of unknown end', '100%_desk'])
    expect(await names('--missing-secret', '--expiring', '7d', '--active', '--platform', 'slack')).toEqual([
      'token of unknown end',
    ])
    expect(await run(['list', '--expired', '--fields', 'name'])).toEqual({
      code: 0,
      stdout: 'ended\n',
      stderr: '1 more have an unknown expiry: integrations list --expiry unknown\n',
    })
    expect(await names('--inactive', '--workspace', 'Beta')).toEqual([])

    const { stdout } = await run(['list', '-o', 'jsonl', '--fields', 'name,tokenExpiresAt,tokenExpiry'])
    expect(
      stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { name: 'NOTHING', tokenExpiresAt: null, tokenExpiry: null },
      { name: 'complete', tokenExpiresAt: null, tokenExpiry: 'never' },
      { name: 'ended', tokenExpiresAt: '2026-01-31T10:00:00.000Z', tokenExpiry: 'dated' },
      { name: 'ends in 6 h', tokenExpiresAt: expect.stringMatching(/^\d{4}-.*Z$/), tokenExpiry: 'dated' },
      { name: 'token of unknown end', tokenExpiresAt: null, tokenExpiry: 'unknown' },
      { name: '100%_desk', tokenExpiresAt: null, tokenExpiry: null },
    ])

    // What support staff read.
    const { code, screen } = await runInTerminal(['list', '--fields', 'name,isActive,lastUsedAt,tokenExpiresAt'], [], {
      env,
    })
    expect(code).toBe(0)
    const paint = { red: '\u001b[31m', yellow: '\u001b[33m', green: '\u001b[32m' }
    expect(screen).toContain(`${paint.red}expired `)
    expect(screen).toContain(`${paint.yellow}in 6 hours`)
    expect(screen).toContain(`${paint.yellow}unknown`)
    expect(screen).toContain('3 days ago')
    expect(screen).toContain(`${paint.green}yes`)
  })

  test('a list without anything in it says what to type', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
    const said = async (...args: string[]) => (await runInTerminal(args, [], { env })).screen
    expect(await said('list')).toBe('nothing is there yet: integrations add\r\n')
    expect(await said('list', '--platform', 'Slack')).toBe('nothing to show\r\n')
    expect(await said('workspaces', 'list')).toBe('nothing is there yet: integrations workspaces add <name>\r\n')
    expect(await said('users', 'list', '--email', 'x')).toBe('nothing to show\r\n')
  })

  test('formats, exactly', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    await insert(db, 'workspaces', workspaces('Acme'))
    const row = { workspace_id: 'w-Acme', platform: 'slack', created_at: '2026-01-31 10:00:00' }
    await insert(db, 'integrations', [
      { ...row, id: 'i-1', name: '=SUM(1,2)', config: '{"b":1,"a":[true]}', last_used_at: '2026-02-01 10:00:00' },
      { ...row, id: 'i-2', name: 'say "hi"', config: null, last_used_at: null },
    ])
    const fields = ['--fields', 'id,name,config,lastUsedAt,createdAt,refreshToken']
    const out = async (...args: string[]) => (await run(['list', ...args], { env })).stdout
    const config = '{"a":[true],"b":1}'
    // Only the application has written these rows.
    const none = '{"set":null,"fingerprint":null,"setAt":null,"previousValidUntil":null}'
    expect(await out(...fields)).toBe(
      `i-1\t=SUM(1,2)\t${config}\t2026-02-01T10:00:00.000Z\t2026-01-31T10:00:00.000Z\t${none}\ni-2\tsay "hi"\t\t\t2026-01-31T10:00:00.000Z\t${none}\n`,
    )
    expect(await out('-o', 'csv', '--fields', 'id,name,lastUsedAt')).toBe(
      `id,name,lastUsedAt\ni-1,"'=SUM(1,2)",2026-02-01T10:00:00.000Z\ni-2,"say ""hi""",\n`,
    )
    expect(await out('-o', 'id')).toBe('i-1\ni-2\n')
    expect(await out('-o', 'jsonl', '--fields', 'name,isActive')).toBe(
      '{"name":"=SUM(1,2)","isActive":true}\n{"name":"say \\"hi\\"","isActive":true}\n',
    )
    expect(await out('-o', 'json', '--fields', 'id', '--name', 'nothing')).toBe('[]\n')
    expect(Object.keys(JSON.parse(await out('-o', 'json'))[0])).toEqual([
      'id',
      'name',
      'platform',
      'workspace',
      'workspaceId',
      'isActive',
      'webhookSecret',
      'accessToken',
      'refreshToken',
      'tokenExpiresAt',
      'tokenExpiry',
      'tokenRefresh',
      'app',
      'slackTeamId',
      'slackTeamName',
      'slackBotUserId',
      'pylonAccountId',
      'config',
      'lastUsedAt',
      'createdAt',
      'createdBy',
      'version',
      'owner',
      'tags',
      'note',
      'lastCheck',
      'refusedWebhooks',
    ])
    // Winter and summer.
    await db.query("UPDATE integrations SET last_used_at = '2026-07-01 10:00:00' WHERE id = 'i-2'")
    const times = async (flag: string) =>
      (
        await runProgram(['list', '-o', 'table', '--fields', 'lastUsedAt', flag], {
          env: { ...env, TZ: 'America/New_York' },
        })
      ).stdout
    expect(await times('--utc')).toBe('USED\n2026-02-01 10:00:00Z\n2026-07-01 10:00:00Z\n')
    expect(await times('--local')).toBe('USED\n2026-02-01 05:00:00\n2026-07-01 06:00:00\n')
    expect(await run(['list', '--utc', '--local'], { env })).toMatchObject({ code: 2, stdout: '' })
    expect(await out('-o', 'table', '--fields', 'id,name')).toBe('ID   NAME\ni-1  =SUM(1,2)\ni-2  say "hi"\n')
  })

  test('a terminal shows 100 rows and says how many more there are', async () => {
    const db = await freshDatabase(kind)
    await insert(db, 'workspaces', workspaces('Acme'))
    await insert(
      db,
      'integrations',
      Array.from({ length: 103 }, (_, i) => ({
        id: `i-${i}`,
        workspace_id: 'w-Acme',
        platform: 'slack',
        name: `n${String(i).padStart(3, '0')}`,
      })),
    )
    const env = { DATABASE_URL: db.url }
    const wide = (await runInTerminal(['list', '--fields', 'name'], [], { env })).screen
    expect(wide.match(/n\d{3}/g)?.length).toBe(100)
    expect(wide).toContain('3 more: add --all, or --cursor i-99')
    expect(
      (await runInTerminal(['list', '--fields', 'name', '--all'], [], { env })).screen.match(/n\d{3}/g)?.length,
    ).toBe(103)
    expect((await run(['list', '--fields', 'name'], { env })).stdout.match(/n\d{3}/g)?.length).toBe(103)
    const plain = { ...env, NO_COLOR: '1' }
    expect((await runInTerminal(['list', '--limit', '1'], [], { env: plain })).screen).not.toContain('\u001b[')
  })

  test('a long table looks as a short one, comes row by row, and fits its widest row', async () => {
    const db = await freshDatabase(kind)
    await addMany(db, 1500)
    const env = { DATABASE_URL: db.url }
    const widest = `z${'w'.repeat(50)}`
    await db.query('UPDATE integrations SET name = ? WHERE id = ?', widest, 'many-00001')
    const fields = ['-o', 'table', '--fields', 'name,id']
    const short = await run(['list', ...fields, '--limit', '1000'], { env })
    const { stdout, stderr, code } = await run(['list', '--all', ...fields], { env })
    const gaps = (text: string) => text.replaceAll(/ +/g, ' ').split('\n')
    expect({ code, stderr, first: gaps(stdout).slice(0, 1001) }).toEqual({
      code: 0,
      stderr: '',
      first: gaps(short.stdout).slice(0, 1001),
    })
    const lines = stdout.split('\n')
    expect([lines.length, lines[1], lines.at(-2)]).toEqual([
      1502,
      `${'many-00002'.padEnd(53)}many-00002`,
      `${widest}  many-00001`,
    ])
  })

  test('a reader that has read enough ends it without an error', async () => {
    const db = await freshDatabase(kind)
    await insert(db, 'workspaces', workspaces('Acme'))
    await insert(
      db,
      'integrations',
      Array.from({ length: 3000 }, (_, i) => ({
        id: `i-${i}`,
        workspace_id: 'w-Acme',
        platform: 'slack',
        name: `n${i}`,
      })),
    )
    const child = spawn(process.execPath, [bin, 'list', '--all', '-o', 'jsonl'], {
      env: { PATH: process.env.PATH, HOME: '/nonexistent', DATABASE_URL: db.url },
    })
    let stderr = ''
    child.stderr.on('data', (text) => (stderr += text))
    child.stdout.once('data', () => child.stdout.destroy())
    const code = await new Promise((done) => child.on('close', done))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

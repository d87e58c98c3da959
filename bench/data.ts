import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { fingerprint } from '../src/crypto/hmac.ts'
import { encrypt } from '../src/crypto/jwe.ts'
import { keyFor, parseKeySet } from '../src/crypto/key-set.ts'
import { Secret } from '../src/secret.ts'
import { type AuditEvent, eventColumns, eventFormat, eventHash } from '../src/store/audit/events.ts'
import { headMac } from '../src/store/audit/head.ts'
import { openStore } from '../src/store/open.ts'
import { storeOptions } from '../test/support/keyring.ts'
import type { Program } from './measure.ts'

/** A database with integrations in it. */
export interface Data {
  readonly kind: 'sqlite' | 'postgresql'
  readonly env: { readonly DATABASE_URL: string; readonly HOME: string; readonly INTEGRATIONS_KEYS_FILE: string }
}

/** A file with so many integrations. */
export async function sqliteData(program: Program, file: string, rows: number, home: string): Promise<Data> {
  const env = environment(`file:${file}`, home)
  init(program, env)
  const client = createClient({ url: env.DATABASE_URL })
  const numbers = (count: number) =>
    `(WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${count}) SELECT n FROM numbers)`
  await client.executeMultiple(seed(rows, numbers, (instant) => `'${instant}+00:00'`))
  client.close()
  return { kind: 'sqlite', env }
}

/** A database of a PostgreSQL server with so many integrations. */
export async function postgresqlData(
  program: Program,
  server: string,
  name: string,
  rows: number,
  home: string,
): Promise<Data> {
  await statement(server, `CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const env = environment(url.href, home)
  init(program, env)
  await statement(
    url.href,
    seed(
      rows,
      (count) => `(SELECT generate_series(0, ${count - 1}) AS n) AS numbers`,
      (instant) => `timestamp '${instant}'`,
    ),
  )
  await statement(url.href, 'ANALYZE')
  return { kind: 'postgresql', env }
}

/** Runs statements on a PostgreSQL database. */
export async function statement(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

const environment = (url: string, home: string): Data['env'] => ({
  DATABASE_URL: url,
  HOME: home,
  INTEGRATIONS_KEYS_FILE: join(home, 'keys.json'),
})

function init({ args }: Program, env: Data['env']): void {
  execFileSync(process.execPath, [...args, 'init'], { env: { ...process.env, ...env }, stdio: 'ignore' })
}

// A hundred integrations a workspace; every third was never used, every second has a token, every tenth had another secret before.
function seed(rows: number, numbers: (count: number) => string, at: (instant: string) => string): string {
  if (rows === 0) return ''
  const workspaces = Math.ceil(rows / 100)
  const then = at('2026-01-02T03:04:05.678')
  return `BEGIN;
    INSERT INTO workspaces (id, name, created_at, updated_at) SELECT 'workspace-' || n, 'Workspace ' || n, ${then}, ${then} FROM ${numbers(workspaces)};
    INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, access_token, slack_team_id, is_active, config, last_used_at, created_at)
      SELECT substr('00000000', 1, 8 - length(CAST(CAST(n AS BIGINT) * 7919 % 99999989 AS TEXT))) || (CAST(n AS BIGINT) * 7919 % 99999989) || '-0000-4000-8000-000000000000', 'workspace-' || (n % ${workspaces}), 'slack', 'Integration ' || n,
        'signing secret', CASE WHEN n % 2 = 0 THEN 'token' END, 'T012AB3CD', n % 5 > 0, '{"slackChannels":[{"id":"C024BE91L","name":"help"}]}',
        CASE WHEN n % 3 > 0 THEN ${then} END, ${then} FROM ${numbers(rows)};
    INSERT INTO integration_versions (integration_id, version, updated_at) SELECT id, 1, created_at FROM integrations;
    INSERT INTO integration_secrets (integration_id, field, number, origin, set_at, valid_until)
      SELECT id, 'webhook_secret', 1, 'provided', created_at, created_at FROM integrations WHERE name LIKE '%0';
    INSERT INTO integration_secrets (integration_id, field, number, origin, set_at) SELECT id, 'webhook_secret', 2, 'provided', created_at FROM integrations;
    INSERT INTO integration_secrets (integration_id, field, number, origin, set_at, never_expires)
      SELECT id, 'access_token', 1, 'provided', created_at, is_active FROM integrations WHERE access_token IS NOT NULL;
    COMMIT;`
}

/** The id of an integration that `seed` has made. */
export const idOf = (n: number): string =>
  `${String((n * 7919) % 99_999_989).padStart(8, '0')}-0000-4000-8000-000000000000`

/** How many events are inserted by one statement. */
const eventsAtOnce = 500

/** Adds events to the audit log of a database, until it has so many, chained as the program would. */
export async function addEvents({ kind, env }: Data, count: number): Promise<void> {
  const file = env.INTEGRATIONS_KEYS_FILE
  const auditKey = keyFor(parseKeySet(readFileSync(file, 'utf8'), file), 'audit')
  if (!auditKey) throw new Error(`${file} has no audit key`)
  const { query, end } = kind === 'sqlite' ? onFile(env.DATABASE_URL) : await onServer(env.DATABASE_URL)
  const [head] = await query("SELECT seq, value FROM integration_settings WHERE key = 'head'", [])
  let seq = Number(head?.seq)
  let hash = String(head?.value)
  await query('BEGIN', [])
  while (seq < count) {
    const values: string[][] = []
    while (seq < count && values.length < eventsAtOnce) {
      const event = {
        ...anyEvent,
        format: String(eventFormat),
        seq: String(++seq),
        target_id: `integration-${seq % 1000}`,
      }
      const columns = Object.fromEntries(
        Object.entries(eventColumns).map(([name, column]) => [name, (event as Record<string, string>)[column] ?? null]),
      )
      const previous = hash
      hash = eventHash({ auditKey }, previous, columns as unknown as AuditEvent)
      const stored = { ...event, at: kind === 'sqlite' ? event.at.replace('Z', '+00:00') : event.at.replace('Z', '') }
      values.push([...Object.values(stored), previous, hash])
    }
    let parameters = 0
    const marks = values.map((row) => `(${row.map(() => (kind === 'sqlite' ? '?' : `$${++parameters}`)).join()})`)
    const names = [...Object.keys(anyEvent), 'format', 'seq', 'target_id', 'previous_hash', 'hash']
    await query(`INSERT INTO integration_events (${names.join()}) VALUES ${marks.join()}`, values.flat())
  }
  await query(`UPDATE integration_settings SET seq = ${seq}, value = '${hash}' WHERE key = 'head'`, [])
  await query('COMMIT', [])
  await query('ANALYZE', [])
  const store = await openStore(storeOptions({ url: env.DATABASE_URL }, file))
  const settings = await store.read((db) => db.keys.settings())
  await store.close()
  await query(
    `UPDATE integration_settings SET mac = '${headMac({ auditKey }, settings, settings.head)}' WHERE key = 'head'`,
    [],
  )
  await end()
}

/** Adds an integration that a secret can be generated for. @returns its id */
export async function addDesk({ args }: Program, { env }: Data): Promise<string> {
  const words = ['add', '--platform', 'pylon', '--new-workspace', 'Bench', '--name', 'desk', '-o', 'id']
  return execFileSync(process.execPath, [...args, ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .toString()
    .trim()
}

/** Adds integrations of a platform, each with one sealed secret; those of Slack share one, and have a team each. */
export async function addSealed(
  { kind, env }: Data,
  count: number,
  field: 'webhook_secret' | 'access_token',
  platform = 'pylon',
): Promise<void> {
  const file = env.INTEGRATIONS_KEYS_FILE
  const key = keyFor(parseKeySet(readFileSync(file, 'utf8'), file), 'encryption')
  const fingerprinting = keyFor(parseKeySet(readFileSync(file, 'utf8'), file), 'fingerprint')
  if (!key || !fingerprinting) throw new Error(`${file} lacks a key`)
  const { query, end } = kind === 'sqlite' ? onFile(env.DATABASE_URL) : await onServer(env.DATABASE_URL)
  const then = kind === 'sqlite' ? "'2026-01-02T03:04:05.678+00:00'" : "timestamp '2026-01-02T03:04:05.678'"
  const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
  await query('BEGIN', [])
  await query(
    `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('sealed', 'Sealed', ${then}, ${then})`,
    [],
  )
  for (let at = 0; at < count; at += eventsAtOnce) {
    const rows = await Promise.all(
      Array.from({ length: Math.min(eventsAtOnce, count - at) }, async (_, i) => {
        const id = `sealed-${String(at + i).padStart(8, '0')}`
        const value = new Secret(platform === 'slack' ? appSecret : secretOf(id))
        const text = encrypt(key, { id, field }, value)
        const team = platform === 'slack' ? quoted(teamOf(at + i)) : 'NULL'
        return { id, text, team, print: fingerprint(fingerprinting, value) }
      }),
    )
    await query(
      `INSERT INTO integrations (id, workspace_id, platform, name, slack_team_id, ${field}) VALUES ${rows.map(({ id, text, team }) => `(${quoted(id)}, 'sealed', ${quoted(platform)}, ${quoted(id)}, ${team}, ${quoted(text)})`).join()}`,
      [],
    )
    await query(
      `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at) VALUES ${rows.map(({ id, print }) => `(${quoted(id)}, '${field}', 1, ${quoted(print)}, ${quoted(key.id)}, 'provided', ${then})`).join()}`,
      [],
    )
  }
  await query('COMMIT', [])
  await query('ANALYZE', [])
  await end()
}

/** The secret of integrations of Slack that `addSealed` has added, and the team of one. */
export const appSecret = 'secret-of-the-app'
export const teamOf = (i: number) => `TKNOWN${i}`

/** The secret of an integration of another platform that `addSealed` has added. */
const secretOf = (id: string) => `value-of-${id}`

/** Has receivers accept values of which the audit log says nothing, as in a database whose application writes them. */
export function acceptUnrecorded({ args }: Program, { env }: Data): void {
  for (const mode of ['migrating', 'off'])
    execFileSync(process.execPath, [...args, 'keys', 'mode', mode], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    })
}

/** Makes another key the active one. */
export function activateAnother({ args }: Program, { env }: Data): void {
  const file = env.INTEGRATIONS_KEYS_FILE
  const run = (...words: string[]) =>
    execFileSync(process.execPath, [...args, ...words], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const before = new Set(parseKeySet(readFileSync(file, 'utf8'), file).keys())
  run('keys', 'add')
  const [added = ''] = [...parseKeySet(readFileSync(file, 'utf8'), file).keys()].filter((id) => !before.has(id))
  run('keys', 'activate', added)
}

const anyEvent = {
  at: '2026-01-02T03:04:05.678Z',
  request_id: '00000000-0000-4000-8000-000000000000',
  action: 'secret.rotate',
  outcome: 'done',
  target_type: 'integration',
  target_name: 'Workspace/Integration',
  fields: 'webhook_secret',
  fingerprints: 'webhook_secret=0123456789abcdef>fedcba9876543210',
  version_before: '1',
  version_after: '2',
  ci_identity: 'github:ana:1234567890',
  os_user: 'runner',
  host: 'runner-1',
  pid: '4321',
  program_version: '0.1.0',
}

type Query = (text: string, values: string[]) => Promise<Record<string, unknown>[]>

function onFile(url: string): { query: Query; end: () => Promise<void> } {
  const client = createClient({ url })
  return {
    query: async (sql, args) => (await client.execute({ sql, args })).rows as unknown as Record<string, unknown>[],
    end: async () => client.close(),
  }
}

async function onServer(url: string): Promise<{ query: Query; end: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return { query: async (text, values) => (await client.query(text, values)).rows, end: () => client.end() }
}

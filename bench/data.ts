import { execFileSync } from 'node:child_process'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import type { Program } from './measure.ts'

/** A database with integrations in it. */
export interface Data {
  readonly kind: 'sqlite' | 'postgresql'
  readonly env: { readonly DATABASE_URL: string; readonly HOME: string }
}

/** A file with so many integrations. */
export async function sqliteData(program: Program, file: string, rows: number, home: string): Promise<Data> {
  const env = { DATABASE_URL: `file:${file}`, HOME: home }
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
  const env = { DATABASE_URL: url.href, HOME: home }
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

function init({ args }: Program, env: Data['env']): void {
  execFileSync(process.execPath, [...args, 'init'], { env: { ...process.env, ...env }, stdio: 'ignore' })
}

// A hundred integrations a workspace; every third was never used, every second has a token, every tenth had another secret before.
function seed(rows: number, numbers: (count: number) => string, at: (instant: string) => string): string {
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

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { bin, faketime } from '../test/support/program.ts'

const moment = Date.parse('2026-11-28T07:00:00Z')
const dayMs = 86_400_000

/** An integration of the made-up report; days are counted from its moment. */
type MadeUp = readonly [
  workspace: string,
  name: string,
  platform: 'slack' | 'pylon' | 'github',
  added: number,
  /** null: never; `refreshed`: in hours, and by `refresh`. */
  expires: number | null | 'refreshed',
  used: number | null,
]

const madeUp: readonly MadeUp[] = [
  ['Acme', 'support', 'slack', -310, null, -0.1],
  ['Acme', 'alerts', 'slack', -250, -3, -3],
  ['Acme', 'desk', 'pylon', -240, null, -0.4],
  ['Acme', 'deploys', 'github', -180, 26, -1],
  ['Acme', 'on-call', 'slack', -120, 'refreshed', -0.2],
  ['Acme', 'handbook', 'github', -90, 88, -9],
  ['Globex', 'support', 'slack', -290, 'refreshed', -0.3],
  ['Globex', 'sales', 'slack', -260, 4, -2],
  ['Globex', 'releases', 'github', -200, 61, -12],
  ['Globex', 'desk', 'pylon', -150, null, -45],
  ['Globex', 'billing', 'slack', -60, null, -0.6],
  ['Initech', 'support', 'slack', -280, 117, -0.5],
  ['Initech', 'printers', 'slack', -275, null, -58],
  ['Initech', 'desk', 'pylon', -100, null, -8],
  ['Initech', 'builds', 'github', -75, 145, -16],
  ['Umbrella', 'lab', 'slack', -220, 'refreshed', -0.2],
  ['Umbrella', 'security', 'github', -160, 0.7, -1],
  ['Umbrella', 'desk', 'pylon', -40, null, null],
  ['Hooli', 'search', 'slack', -210, 204, -5],
  ['Hooli', 'box', 'github', -130, 300, -22],
  ['Wonka', 'factory', 'slack', -110, 'refreshed', -0.7],
  ['Wonka', 'tours', 'slack', -20, 13, -0.9],
]

/** The first that was added is the first. */
const integrations = madeUp.toSorted(([, , , a], [, , , b]) => a - b)

/** What was done then, the first before the others: days before the moment, who, and the command. */
const changes: readonly (readonly [days: number, by: string, ...args: string[]])[] = [
  [-12, 'ben', 'config', 'set', 'Acme/support', 'slackEvents=["message"]', '--reason', 'only messages'],
  [-9, 'ana', 'rotate', 'Globex/billing', '--webhook-secret-env', 'N', '--grace', '24h', '--reason', 'half-yearly'],
  [-6, 'ana', 'rotate', 'Acme/desk', '--webhook-secret-env', 'N', '--grace', '0', '--reason', 'ticket 4711'],
  [-4, 'ben', 'update', 'Wonka/tours', '--name', 'visits'],
  [-2, 'ben', 'disable', 'Initech/printers', '--reason', 'customer left'],
  [-0.8, 'ana', 'rotate', 'Globex/support', '--webhook-secret-env', 'N', '--grace', '7d', '--reason', 'ticket 4802'],
  [-0.2, 'ana', 'config', 'set', 'Hooli/search', 'slackChannels=[{"id":"C024BE91L","name":"help"}]'],
]

/** What the platforms and their webhooks have said. */
const told = `
  INSERT INTO integration_health (integration_id, check_verdict, check_code, check_fingerprint, checked_at)
    SELECT s.integration_id, 'refused', 'token_revoked', s.fingerprint, '2026-11-27T05:00:00.000+00:00' FROM integration_secrets s
    JOIN integrations i ON i.id = s.integration_id WHERE i.name = 'search' AND s.field = 'access_token';
  INSERT INTO integration_health (integration_id, refused_count, refused_since, refused_at, refused_reason)
    SELECT id, 14, '2026-11-27T21:10:00.000+00:00', '2026-11-28T06:41:00.000+00:00', 'signature_mismatch' FROM integrations WHERE name = 'lab';
  UPDATE integration_secrets SET never_expires = 0 WHERE field = 'access_token' AND integration_id = (SELECT id FROM integrations WHERE workspace_id = (SELECT id FROM workspaces WHERE name = 'Initech') AND name = 'desk');
`

/** Makes a page of the report on a database that is made up; each run gives the same. @throws when a command fails */
export async function madeUpReport(): Promise<string> {
  if (!faketime) throw new Error('libfaketime is not installed: the report is of a moment of its own')
  const home = mkdtempSync(join(tmpdir(), 'integrations-report-'))
  try {
    const database = `file:${home}/.local/share/integrations/integrations.db`
    /** Has the program run at a moment. */
    const at = (days: number, by: string, args: readonly string[], secrets: Record<string, string> = {}) => {
      const env = {
        HOME: home,
        PATH: process.env.PATH ?? '',
        GITHUB_ACTIONS: 'true',
        GITHUB_ACTOR: by,
        GITHUB_RUN_ID: '8123',
        TZ: 'UTC',
        LD_PRELOAD: String(faketime),
        FAKETIME: `@${new Date(moment + days * dayMs).toISOString().slice(0, 19).replace('T', ' ')}`,
        ...secrets,
      }
      const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], { env, encoding: 'utf8' })
      if (status !== 0) throw new Error(`failed: ${args.join(' ')}\n${stdout}${stderr}`)
      return stdout
    }
    for (const name of new Set(integrations.map(([workspace]) => workspace)))
      at(-320, 'ana', ['workspaces', 'add', name])
    const app = ['apps', 'add', 'bot', '--platform', 'slack', '--client-id', '1.2', '--client-secret-env', 'C']
    at(-320, 'ana', app, { C: 'made-up-client-secret' })
    for (const [i, [workspace, name, platform, added, expires]] of integrations.entries()) {
      const value = (i + 16).toString(16).repeat(16)
      const refreshed = ['--expires-in', '12h', '--refresh-token-env', 'R', '--app', 'bot']
      const expiry =
        expires === null ? ['--no-expiry'] : expires === 'refreshed' ? refreshed : ['--expires-at', instant(expires)]
      const owned = owners[name] === undefined ? [] : ['--owner', owners[name]]
      const isNew = integrations.findIndex(([other]) => other === workspace) === i
      const named = [
        '--platform',
        platform,
        isNew ? '--new-workspace' : '--workspace',
        workspace,
        '--name',
        name,
        '--force-shape',
        ...owned,
      ]
      at(
        added,
        i % 3 === 0 ? 'ben' : 'ana',
        ['add', ...named, '--webhook-secret-env', 'W', '--access-token-env', 'A', ...expiry],
        {
          W: value,
          A: `token-${value}`,
          R: `refresh-${value}`,
        },
      )
    }
    for (const [i, [days, by, ...args]] of changes.entries())
      at(days, by, args, { N: (i + 100).toString(16).repeat(16) })
    const client = createClient({ url: database })
    const stored = (days: number | null) => (days === null ? 'NULL' : `'${instant(days).replace('Z', '+00:00')}'`)
    const renamed = (name: string) => (name === 'tours' ? 'visits' : name)
    for (const [workspace, name, , , expires, used] of integrations)
      await client.execute(
        `UPDATE integrations SET last_used_at = ${stored(used)}, token_expires_at = ${stored(expires === 'refreshed' ? 0.4 : expires)}
         WHERE name = '${renamed(name)}' AND workspace_id = (SELECT id FROM workspaces WHERE name = '${workspace}')`,
      )
    await client.executeMultiple(told)
    client.close()
    const page = at(0, 'ana', ['report', '-o', 'html', '--fail-on', 'never'])
    return stable(page).replaceAll(database, 'file:/srv/app/integrations.db')
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Who answers for what. */
const owners: { readonly [name: string]: string } = {
  ...{ support: 'team-support', desk: 'team-support', visits: 'team-support', tours: 'team-support' },
  ...{ alerts: 'team-platform', deploys: 'team-platform', 'on-call': 'team-platform', releases: 'team-platform' },
  ...{ builds: 'team-platform', security: 'team-platform', sales: 'team-growth', billing: 'team-growth' },
}

const instant = (days: number) => new Date(moment + days * dayMs).toISOString()

/** A page without the ids, which differ from run to run. */
function stable(page: string): string {
  const seen: string[] = []
  return page.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
    if (!seen.includes(id)) seen.push(id)
    return `${String(seen.indexOf(id) + 1).padStart(2, '0')}9ab1de-5f0c-4d3a-9c41-2b7e6f80a1d3`
  })
}

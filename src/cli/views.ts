import type { Instant, Integration, Json, SecretFacts, SecretField, User, Workspace } from '../integration.ts'
import type { ConfigFinding } from '../operations/config-document.ts'
import type { Counts, DatabaseStatus } from '../store/status.ts'
import type { Cell, Column, Tone, View } from './output.ts'
import { relative } from './time.ts'

const soon = 24 * 3_600_000

/** What "last used" and the like show: how long ago. */
const ago = (instant: Instant | null, now: number, none: string): Cell =>
  instant === null ? [none, 'dim'] : [relative(instant, now), 'plain']

function secretCell({ set, fingerprint, setAt, previousValidUntil }: SecretFacts, now: number): Cell {
  if (set === null) return ['unknown', 'warn']
  if (!set) return ['not set', 'dim']
  const parts = [
    setAt === null ? 'set' : `set ${relative(setAt, now)}`,
    fingerprint === null ? '' : `fingerprint ${fingerprint}`,
    previousValidUntil === null ? '' : `the one before is valid until ${relative(previousValidUntil, now)}`,
  ]
  return [parts.filter(Boolean).join(', '), 'good']
}

function expiryCell({ tokenExpiresAt, tokenExpiry }: Integration, now: number): Cell {
  if (tokenExpiresAt === null)
    return tokenExpiry === null ? ['no token', 'dim'] : [tokenExpiry, tokenExpiry === 'unknown' ? 'warn' : 'plain']
  const left = Date.parse(tokenExpiresAt) - now
  if (left <= 0) return [`expired ${relative(tokenExpiresAt, now)}`, 'bad']
  return [relative(tokenExpiresAt, now), left < soon ? 'warn' : 'plain']
}

const secret = (field: SecretField): Column<Integration> => ({
  field,
  value: (row) => ({ ...row[field] }),
  cell: (row, now) => secretCell(row[field], now),
})

const value = <Row>(field: keyof Row & string): Column<Row> => ({ field, value: (row) => row[field] as Json })

/** How integrations are shown. */
export const integrationView: View<Integration> = {
  columns: [
    value('id'),
    value('name'),
    value('platform'),
    value('workspace'),
    value('workspaceId'),
    {
      field: 'isActive',
      value: (row) => row.isActive,
      cell: (row) => (row.isActive ? ['active', 'good'] : ['inactive', 'dim']),
    },
    secret('webhookSecret'),
    secret('accessToken'),
    secret('refreshToken'),
    { field: 'tokenExpiresAt', value: (row) => row.tokenExpiresAt, cell: expiryCell },
    value('tokenExpiry'),
    value('slackTeamId'),
    value('slackTeamName'),
    value('slackBotUserId'),
    value('pylonAccountId'),
    value('config'),
    { field: 'lastUsedAt', value: (row) => row.lastUsedAt, cell: (row, now) => ago(row.lastUsedAt, now, 'never') },
    { field: 'createdAt', value: (row) => row.createdAt, cell: (row, now) => ago(row.createdAt, now, '') },
    value('createdBy'),
    value('version'),
  ],
  short: ['name', 'workspace', 'platform', 'isActive', 'lastUsedAt', 'tokenExpiresAt', 'id'],
  id: (row) => row.id,
}

/** How workspaces are shown. */
export const workspaceView: View<Workspace> = {
  columns: [
    value('id'),
    value('name'),
    value('integrations'),
    { field: 'createdAt', value: (row) => row.createdAt, cell: (row, now) => ago(row.createdAt, now, '') },
  ],
  short: ['name', 'integrations', 'createdAt', 'id'],
  id: (row) => row.id,
}

/** How users are shown. */
export const userView: View<User> = {
  columns: [
    value('id'),
    value('email'),
    value('name'),
    { field: 'createdAt', value: (row) => row.createdAt, cell: (row, now) => ago(row.createdAt, now, '') },
  ],
  short: ['email', 'name', 'createdAt', 'id'],
  id: (row) => row.id,
}

/** How findings about a config are shown. */
export const findingView: View<ConfigFinding> = {
  columns: [
    {
      field: 'severity',
      value: (row) => row.severity,
      cell: (row) => [row.severity, row.severity === 'error' ? 'bad' : 'warn'],
    },
    value('path'),
    value('message'),
  ],
  short: ['severity', 'path', 'message'],
  id: (row) => row.path,
}

const names = (field: string, of: (row: DatabaseStatus) => readonly string[], tone: Tone): Column<DatabaseStatus> => ({
  field,
  value: (row) => [...of(row)],
  cell: (row) => (of(row).length === 0 ? ['none', 'dim'] : [of(row).join(', '), tone]),
})

const count = (field: string, of: keyof Omit<Counts, 'platforms'>): Column<DatabaseStatus> => ({
  field,
  value: (row) => row.counts?.[of] ?? null,
})

const standingTones: Record<DatabaseStatus['standing'], Tone> = {
  ready: 'good',
  empty: 'warn',
  foreign: 'warn',
  behind: 'warn',
  ahead: 'bad',
}

/** How a database is shown. */
export const databaseView: View<DatabaseStatus> = {
  columns: [
    { field: 'database', value: (row) => row.url },
    value('provider'),
    value('version'),
    { field: 'state', value: (row) => row.standing, cell: (row) => [row.standing, standingTones[row.standing]] },
    { field: 'adopted', value: (row) => row.adopted, cell: (row) => [row.adopted ? 'yes' : 'no', 'plain'] },
    names('migrationsApplied', (row) => row.migrations.applied, 'plain'),
    names('migrationsPending', (row) => row.migrations.pending, 'warn'),
    names('migrationsUnknown', (row) => row.migrations.unknown, 'plain'),
    count('workspaces', 'workspaces'),
    count('users', 'users'),
    count('integrations', 'integrations'),
    count('activeIntegrations', 'active'),
    {
      field: 'integrationsByPlatform',
      value: (row) => (row.counts ? { ...row.counts.platforms } : null),
      cell: (row) => [
        Object.entries(row.counts?.platforms ?? {})
          .map(([platform, n]) => `${platform} ${n}`)
          .join(', '),
        'plain',
      ],
    },
  ],
  short: ['database', 'provider', 'version', 'state', 'adopted', 'workspaces', 'users', 'integrations'],
  id: (row) => row.url,
}

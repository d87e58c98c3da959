import {
  type App,
  flagOf,
  type Instant,
  type IntegrationView,
  type Json,
  type SecretFacts,
  type SecretField,
  type TokenRefresh,
  type User,
  type Workspace,
} from '../../integration.ts'
import type { Verification } from '../../operations/audit/verify.ts'
import type { ConfigFinding } from '../../operations/config/document.ts'
import type { Counts, DatabaseStatus } from '../../store/schema/status.ts'
import type { AuditEvent } from '../../store/tables/events.ts'
import { fingerprintsOf } from '../../store/tables/fingerprints.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { relative, remaining } from '../input/time.ts'
import type { Column, View } from '../output/output.ts'
import type { Cell, Tone } from '../output/tone.ts'

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

type Expiring = Pick<IntegrationView, 'tokenExpiresAt' | 'tokenExpiry'>

/** @param none what to show where there is no access token */
function expiryCell({ tokenExpiresAt, tokenExpiry }: Expiring, now: number, none = 'no token'): Cell {
  if (tokenExpiresAt === null)
    return tokenExpiry === null ? [none, 'dim'] : [tokenExpiry, tokenExpiry === 'unknown' ? 'warn' : 'plain']
  const left = Date.parse(tokenExpiresAt) - now
  if (left <= 0) return [`expired ${relative(tokenExpiresAt, now)}`, 'bad']
  return [relative(tokenExpiresAt, now), left < soon ? 'warn' : 'plain']
}

const secret = (field: SecretField): Column<IntegrationView> => ({
  field,
  value: (row) => ({ ...row[field] }),
  cell: (row, now) => secretCell(row[field], now),
})

const value = <Row>(field: keyof Row & string): Column<Row> => ({ field, value: (row) => row[field] as Json })

const refreshWords: Record<NonNullable<TokenRefresh>, string> = {
  outcome_unknown: 'outcome of the last refresh unknown: integrations recover',
  needs_reauth: 'not possible: the application must be given access again',
  refused: 'refused by the platform the last time',
}

/** How integrations are shown. */
export const integrationView: View<IntegrationView> = {
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
    { field: 'tokenExpiresAt', value: (row) => row.tokenExpiresAt, cell: (row, now) => expiryCell(row, now) },
    value('tokenExpiry'),
    {
      field: 'tokenRefresh',
      value: (row) => row.tokenRefresh,
      cell: (row) => [row.tokenRefresh === null ? '' : refreshWords[row.tokenRefresh], 'bad'],
    },
    value('app'),
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

/** How integrations that are changed together are shown: what became of each stands beside it. */
export const batchView: View<IntegrationView & { readonly outcome: 'changed' | 'would change' }> = {
  ...integrationView,
  columns: [...integrationView.columns, value('outcome')],
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

/** How OAuth apps are shown. */
export const appView: View<App> = {
  columns: [
    value('id'),
    value('name'),
    value('platform'),
    value('clientId'),
    value('keyId'),
    value('integrations'),
    { field: 'createdAt', value: (row) => row.createdAt, cell: (row, now) => ago(row.createdAt, now, '') },
  ],
  short: ['name', 'platform', 'clientId', 'integrations', 'createdAt', 'id'],
  id: (row) => row.id,
}

const stateOf = ({ validUntil }: SecretVersion, now: number): 'current' | 'valid' | 'over' =>
  validUntil === null ? 'current' : Date.parse(validUntil) > now ? 'valid' : 'over'

const stateTones = { current: 'good', valid: 'warn', over: 'dim' } as const satisfies Record<string, Tone>

/** How the versions of secrets are shown. */
export const secretVersionView: View<SecretVersion> = {
  columns: [
    { field: 'field', value: (row) => flagOf(row.field) },
    value('number'),
    {
      field: 'state',
      value: (row) => stateOf(row, Date.now()),
      cell: (row, now) => {
        const state = stateOf(row, now)
        const text = state === 'valid' ? `valid for ${remaining(row.validUntil ?? '', now)}` : state
        return [text, stateTones[state]]
      },
    },
    value('fingerprint'),
    value('origin'),
    { field: 'setAt', value: (row) => row.setAt, cell: (row, now) => ago(row.setAt, now, '') },
    value('setBy'),
    value('validUntil'),
    { field: 'tokenExpiresAt', value: (row) => row.tokenExpiresAt, cell: (row, now) => expiryCell(row, now, '') },
    value('tokenExpiry'),
    {
      field: 'lastMatchedAt',
      value: (row) => row.lastMatchedAt,
      cell: ({ lastMatchedAt, matchCount }, now) =>
        lastMatchedAt === null
          ? ['never matched: unknown whether it is in use', 'dim']
          : [`matched ${relative(lastMatchedAt, now)}, ${matchCount} ${matchCount === 1 ? 'time' : 'times'}`, 'plain'],
    },
    value('matchCount'),
  ],
  short: ['field', 'number', 'state', 'fingerprint', 'setAt', 'setBy', 'tokenExpiresAt', 'lastMatchedAt'],
  id: (row) => `${flagOf(row.field)}:${row.number}`,
}

/** How many old values were forgotten. */
export const purgeView: View<{ readonly purged: number }> = {
  columns: [value('purged')],
  short: ['purged'],
  id: (row) => String(row.purged),
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

const statusTones: Record<DatabaseStatus['status'], Tone> = {
  ready: 'good',
  empty: 'warn',
  unmanaged: 'warn',
  outdated: 'warn',
  newer: 'bad',
}

/** How a database is shown. */
export const databaseView: View<DatabaseStatus> = {
  columns: [
    { field: 'database', value: (row) => row.url },
    value('provider'),
    value('version'),
    { field: 'state', value: (row) => row.status, cell: (row) => [row.status, statusTones[row.status]] },
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

/** Who is said to have done something: a CI system's word, else the operating system's, and `--as`. */
const who = ({ ciIdentity, osUser, host, declaredAs }: AuditEvent): string =>
  `${ciIdentity ?? `os:${osUser}@${host}`}${declaredAs === null ? '' : ` as ${declaredAs}`}`

const whole = (field: keyof AuditEvent): Column<AuditEvent> => ({
  field,
  value: (row) => (row[field] === null ? null : Number(row[field])),
})

/** How events of the audit log are shown. */
export const eventView: View<AuditEvent> = {
  columns: [
    whole('seq'),
    { field: 'at', value: (row) => row.at, cell: (row, now) => ago(row.at, now, '') },
    {
      field: 'action',
      value: (row) => row.action,
      cell: (row) => (row.outcome === 'done' ? [row.action, 'plain'] : [`${row.action} (${row.outcome})`, 'warn']),
    },
    value('outcome'),
    {
      field: 'target',
      value: (row) => row.targetName ?? row.targetId,
      cell: (row) =>
        row.targetType === 'database' ? ['the database', 'dim'] : [row.targetName ?? row.targetId ?? '', 'plain'],
    },
    value('targetType'),
    value('targetId'),
    value('targetName'),
    { field: 'fields', value: (row) => row.fields?.split(',') ?? [] },
    { field: 'fingerprints', value: (row) => fingerprintsOf(row.fingerprints).map((change) => ({ ...change })) },
    value('keyId'),
    whole('versionBefore'),
    whole('versionAfter'),
    whole('count'),
    { field: 'who', head: 'who (self-declared)', value: who },
    value('ciIdentity'),
    value('osUser'),
    value('host'),
    whole('pid'),
    value('declaredAs'),
    value('databaseRole'),
    value('reason'),
    value('requestId'),
    value('programVersion'),
    value('previousHash'),
    value('hash'),
  ],
  short: ['seq', 'at', 'action', 'target', 'who', 'databaseRole', 'reason'],
  id: (row) => row.seq,
}

/** How the outcome of `audit verify` is shown. */
export const verificationView: View<Verification> = {
  columns: [
    { field: 'ok', value: ({ problems }) => problems.length === 0 },
    value('events'),
    { field: 'seq', value: ({ head }) => Number(head.seq) },
    { field: 'hash', value: ({ head }) => head.hash },
    value('values'),
    {
      field: 'problems',
      value: ({ problems }) => problems.map((one) => ('seq' in one ? { ...one, seq: Number(one.seq) } : { ...one })),
    },
    { field: 'changedByApplication', value: ({ byApplication }) => byApplication.map((place) => ({ ...place })) },
  ],
  short: ['ok', 'events', 'seq', 'hash', 'values', 'problems', 'changedByApplication'],
  id: ({ head }) => head.hash,
}

import type { IdChange } from '../../operations/audit/new-id.ts'
import { commandOn, type Database } from '../../store/database/url.ts'
import { type ApplicationIndex, missingOf } from '../../store/schema/indexes.ts'
import type { Counts, DatabaseStatus } from '../../store/schema/status.ts'
import type { GoneIntegration } from '../../store/tables/integrations.ts'
import type { Output } from '../output/output.ts'
import type { Tone } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { name, value } from './cells.ts'

const names = (field: string, of: (row: DatabaseStatus) => readonly string[], tone: Tone): Column<DatabaseStatus> => ({
  field,
  value: (row) => [...of(row)],
  cell: (row) => [of(row).join(', '), tone],
})

const count = (field: string, of: keyof Omit<Counts, 'platforms'>): Column<DatabaseStatus> => ({
  field,
  value: (row) => row.counts?.[of] ?? null,
})

const statusTones: Record<DatabaseStatus['status'], Tone> = {
  ready: 'good',
  changed: 'bad',
  empty: 'warn',
  unmanaged: 'warn',
  outdated: 'warn',
  newer: 'bad',
}

/** How a new id of a database is shown. */
export const idView: View<IdChange> = {
  columns: [value('id'), value('formerId')],
  short: ['id', 'formerId'],
  id: ({ id }) => id,
}

/** How an integration that the application has deleted is shown. */
export const goneView: View<GoneIntegration> = {
  columns: [value('id'), name('name')],
  short: ['id', 'name'],
  id: ({ id }) => id,
}

/** Says what keeps a database from being used, if anything does, and what to do about it. */
export function noteReason(output: Output, { reason }: DatabaseStatus): void {
  if (!reason) return
  output.note(reason.message)
  output.note(`hint: ${reason.hint}`)
}

const indexTones: Record<ApplicationIndex['state'], Tone> = {
  present: 'good',
  missing: 'warn',
  invalid: 'bad',
  building: 'warn',
  taken: 'bad',
}

/** How an index is shown. */
export const indexView: View<ApplicationIndex> = {
  columns: [
    value('name'),
    value('table'),
    { field: 'state', value: ({ state }) => state, cell: ({ state }) => [state, indexTones[state]] },
    {
      ...value('statement'),
      // For those that are still to be made.
      cell: ({ state, statement }) => [state === 'present' ? '' : statement, 'plain'],
    },
  ],
  short: ['name', 'table', 'state', 'statement'],
  essential: ['name', 'state'],
  id: ({ name }) => name,
}

/** Says which indexes a database lacks whose tables are the application's. */
export function noteIndexes(output: Output, database: Database, { adopted, status, indexes }: DatabaseStatus): void {
  const missing = missingOf(indexes)
  const isShared = (adopted && status === 'ready') || status === 'unmanaged'
  if (missing.length === 0 || !isShared) return
  output.note(
    `large tables need these indexes; add the statements to the application's own migrations, or run ${commandOn(database, 'db index --create')}:`,
  )
  for (const { statement } of missing) output.note(`  ${statement};`)
  for (const { name, state } of missing)
    if (state === 'taken')
      output.note(`the index ${name} is there, but with other columns or in another order: drop or rename it first`)
}

/** How a database is shown. */
export const databaseView: View<DatabaseStatus> = {
  columns: [
    { field: 'database', value: (row) => row.url },
    value('provider'),
    value('version'),
    { field: 'state', value: (row) => row.status, cell: (row) => [row.status, statusTones[row.status]] },
    { field: 'adopted', value: (row) => row.adopted, cell: (row) => [row.adopted ? 'yes' : 'no', 'plain'] },
    {
      ...names('migrationsApplied', (row) => row.migrations.applied, 'plain'),
      // What is as it should be is a number alone.
      cell: ({ migrations: { applied } }) => [String(applied.length), 'plain'],
    },
    names('migrationsPending', (row) => row.migrations.pending, 'warn'),
    names('migrationsUnknown', (row) => row.migrations.unknown, 'plain'),
    names('differences', (row) => row.differences.map(({ text }) => text), 'bad'),
    names('indexesMissing', (row) => missingOf(row.indexes).map(({ name }) => name), 'warn'),
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

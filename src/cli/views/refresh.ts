import type { RefreshRow } from '../../operations/refresh/batch.ts'
import type { RecoverRow } from '../../operations/refresh/recover-batch.ts'
import type { Tone } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { timeCell } from './cells.ts'

type Row = RefreshRow | RecoverRow

const tones: Record<Row['outcome'], Tone> = {
  refreshed: 'good',
  applied: 'good',
  due: 'warn',
  not_due: 'plain',
  settled: 'plain',
  superseded: 'plain',
  held: 'warn',
  unsupported: 'dim',
  inactive: 'dim',
  no_refresh_token: 'dim',
  cancelled: 'warn',
  refused: 'bad',
  failed: 'bad',
  outcome_unknown: 'bad',
  needs_reauth: 'bad',
  error: 'bad',
}

const of = <R extends Row>(field: 'id' | 'name' | 'workspace' | 'platform'): Column<R> => ({
  field,
  value: (row) => row.integration[field],
  ...(field === 'name' || field === 'workspace' ? { cut: 'middle' } : {}),
})

const outcome = <R extends Row>(): Column<R>[] => [
  of('id'),
  of('name'),
  of('workspace'),
  of('platform'),
  {
    field: 'outcome',
    value: (row) => row.outcome,
    cell: (row) => [row.outcome.replaceAll('_', ' '), tones[row.outcome]],
  },
  { field: 'code', value: (row) => row.error?.code ?? null },
  { field: 'message', value: (row) => row.error?.message ?? null, cut: 'end' },
  { field: 'hint', value: (row) => row.error?.hint ?? null, cut: 'end' },
]

/** The view of a refresh. */
export const refreshView: View<RefreshRow> = {
  columns: [
    ...outcome<RefreshRow>(),
    {
      field: 'tokenExpiresAt',
      head: 'expires',
      value: (row) => row.integration.tokenExpiresAt,
      cell: ({ integration: { tokenExpiresAt } }, clock) =>
        tokenExpiresAt === null ? ['unknown', 'dim'] : timeCell(tokenExpiresAt, clock),
    },
  ],
  short: ['workspace', 'name', 'outcome', 'tokenExpiresAt', 'id'],
  essential: ['name', 'outcome', 'workspace', 'id'],
  id: (row) => row.integration.id,
}

/** The view of a recovery. */
export const recoverView: View<RecoverRow> = {
  columns: [
    ...outcome<RecoverRow>(),
    {
      field: 'accessToken',
      value: (row) => row.accessToken,
      cell: (row) => [row.accessToken ?? 'not asked', row.accessToken === 'ok' ? 'good' : 'warn'],
    },
    {
      field: 'worksUntil',
      value: (row) => row.worksUntil,
      cell: (row, clock) => (row.worksUntil === null ? ['', 'warn'] : timeCell(row.worksUntil, clock, 'warn')),
    },
  ],
  short: ['workspace', 'name', 'outcome', 'accessToken', 'worksUntil', 'id'],
  essential: ['name', 'outcome', 'workspace', 'id'],
  id: (row) => row.integration.id,
}

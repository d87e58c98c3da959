import type { IntegrationView } from '../../integration.ts'
import type { RefreshRow } from '../../operations/refresh/batch.ts'
import type { Recovered } from '../../operations/refresh/recover.ts'
import { relative } from '../input/time.ts'
import type { Column, View } from '../output/output.ts'
import type { Tone } from '../output/tone.ts'

const tones: Record<RefreshRow['outcome'] | Recovered['outcome'], Tone> = {
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

const of = <Row extends { readonly integration: IntegrationView }>(
  field: 'id' | 'name' | 'workspace' | 'platform',
): Column<Row> => ({ field, value: (row) => row.integration[field] })

type Outcome = {
  readonly integration: IntegrationView
  readonly outcome: keyof typeof tones
  readonly error?: Error & { code: string; hint: string }
}

const outcome = <Row extends Outcome>(): Column<Row>[] => [
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
  { field: 'message', value: (row) => row.error?.message ?? null },
  { field: 'hint', value: (row) => row.error?.hint ?? null },
]

/** How refreshed tokens are shown. */
export const refreshView: View<RefreshRow> = {
  columns: [
    ...outcome<RefreshRow>(),
    {
      field: 'tokenExpiresAt',
      value: (row) => row.integration.tokenExpiresAt,
      cell: ({ integration: { tokenExpiresAt } }, now) =>
        tokenExpiresAt === null ? ['unknown', 'dim'] : [relative(tokenExpiresAt, now), 'plain'],
    },
  ],
  short: ['name', 'workspace', 'outcome', 'tokenExpiresAt', 'id'],
  id: (row) => row.integration.id,
}

/** How settled attempts are shown. */
export const recoverView: View<Recovered> = {
  columns: [
    ...outcome<Recovered>(),
    {
      field: 'accessToken',
      value: (row) => row.accessToken,
      cell: (row) => [row.accessToken ?? 'not asked', row.accessToken === 'ok' ? 'good' : 'warn'],
    },
    {
      field: 'worksUntil',
      value: (row) => row.worksUntil,
      cell: (row, now) => [row.worksUntil === null ? '' : relative(row.worksUntil, now), 'warn'],
    },
  ],
  short: ['name', 'workspace', 'outcome', 'accessToken', 'worksUntil', 'id'],
  id: (row) => row.integration.id,
}

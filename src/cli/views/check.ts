import type { Checked } from '../../operations/check/batch.ts'
import type { Verdict } from '../../platforms/platform.ts'
import type { Tone } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { value } from './cells.ts'

const verdictTones: Record<Verdict, Tone> = {
  ok: 'good',
  refused: 'bad',
  expired: 'bad',
  limited: 'warn',
  unreachable: 'warn',
  unknown: 'warn',
}

/** The view of a check. */
export const checkView: View<Checked> = {
  columns: [
    ...(['id', 'workspace', 'name', 'platform'] as const).map(
      (field): Column<Checked> => ({
        field,
        value: ({ integration }) => integration[field],
        ...(field === 'name' || field === 'workspace' ? { cut: 'middle' } : {}),
      }),
    ),
    { field: 'verdict', value: (row) => row.verdict, cell: (row) => [row.verdict, verdictTones[row.verdict]] },
    value('code'),
    { ...value('reason'), cut: 'end' },
    {
      field: 'findings',
      value: (row) => row.findings.map((finding) => ({ ...finding })),
      cell: (row) => [
        row.findings.map((one) => `${one.field} is ${one.stored}, the platform reports ${one.platform}`).join('; '),
        'bad',
      ],
      cut: 'end',
    },
    {
      field: 'filled',
      value: (row) => [...row.filled],
      cell: (row) => [row.filled.join(', '), 'plain'],
      cut: 'end',
    },
    { field: 'ids', value: (row) => ({ ...row.ids }), cut: 'end' },
    {
      field: 'scopes',
      value: (row) => (row.scopes === null ? null : [...row.scopes]),
      cell: (row) => [row.scopes?.join(', ') ?? '', 'plain'],
      cut: 'end',
    },
    value('expiresAt'),
  ],
  short: ['workspace', 'name', 'platform', 'verdict', 'code', 'findings', 'filled', 'id'],
  essential: ['name', 'verdict', 'workspace', 'code', 'findings', 'id', 'platform'],
  id: ({ integration }) => integration.id,
}

import { refOf } from '../../integration.ts'
import type { Finding, Severity } from '../../operations/report/finding.ts'
import type { Tone } from '../output/tone.ts'
import type { View } from '../output/values.ts'
import { ago, value } from './cells.ts'

const tones: Record<Severity, Tone> = { error: 'bad', warning: 'warn', unknown: 'dim' }

/** How a finding of a report is shown. */
export const findingView: View<Finding> = {
  columns: [
    {
      field: 'severity',
      value: ({ severity }) => severity,
      cell: ({ severity }) => [severity, tones[severity]],
    },
    value('code'),
    {
      field: 'integration',
      value: ({ integration }) => integration && refOf(integration),
      cell: ({ integration }) => [integration ? refOf(integration) : 'the database', 'plain'],
      cut: 'middle',
    },
    { field: 'id', value: ({ integration }) => integration?.id ?? null },
    { field: 'platform', value: ({ integration }) => integration?.platform ?? null },
    ago('since', 'since'),
    { ...value('evidence'), cut: 'end' },
    { ...value('next'), cut: 'end' },
  ],
  short: ['severity', 'code', 'integration', 'since', 'evidence'],
  essential: ['integration', 'code', 'severity', 'since'],
  id: ({ integration }) => integration?.id ?? '',
}

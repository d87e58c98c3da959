import type { Damageable } from '../../damage.ts'
import type { IntegrationView, SecretFacts, SecretField, TokenRefresh } from '../../integration.ts'
import { relative, remaining } from '../input/time.ts'
import type { View } from '../output/output.ts'
import type { Cell } from '../output/tone.ts'
import type { Column } from '../output/values.ts'
import { ago, expiryCell, value } from './cells.ts'

function secretCell({ set, fingerprint, setAt, previousValidUntil }: SecretFacts, now: number): Cell {
  if (set === null) return ['unknown', 'warn']
  if (!set) return ['not set', 'dim']
  const parts = [
    setAt === null ? 'set' : `set ${relative(setAt, now)}`,
    fingerprint === null ? '' : `fingerprint ${fingerprint}`,
    previousValidUntil === null ? '' : `previous valid for ${remaining(previousValidUntil, now)}`,
  ]
  return [parts.filter(Boolean).join(', '), 'good']
}

const secret = (field: SecretField): Column<IntegrationView> => ({
  field,
  value: (row) => ({ ...row[field] }),
  cell: (row, now) => secretCell(row[field], now),
})

const refreshWords: Record<NonNullable<TokenRefresh>, string> = {
  outcome_unknown: 'outcome of the last refresh unknown: integrations recover',
  needs_reauth: 'not possible until the application is authorized again',
  refused: 'the platform refused the last refresh',
}

const isActiveKnown = ({ damage }: IntegrationView & Damageable) => !damage?.includes('isActive')

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
      value: (row) => (isActiveKnown(row) ? row.isActive : null),
      cell: (row) =>
        !isActiveKnown(row) ? ['unknown', 'warn'] : row.isActive ? ['active', 'good'] : ['inactive', 'dim'],
    },
    secret('webhookSecret'),
    secret('accessToken'),
    secret('refreshToken'),
    {
      field: 'tokenExpiresAt',
      value: (row) => row.tokenExpiresAt,
      cell: (row, now) => expiryCell(row, now, 'no token'),
    },
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
    ago('lastUsedAt', 'never'),
    ago('createdAt'),
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

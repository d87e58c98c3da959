import type { Damageable } from '../../damage.ts'
import type {
  IntegrationView,
  Labels,
  ListedIntegration,
  SecretFacts,
  SecretField,
  TokenRefresh,
} from '../../integration.ts'
import type { Clock } from '../output/clock.ts'
import type { Cell } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { ago, expiryCell, isMatched, name, value } from './cells.ts'

function secretCell(
  field: SecretField,
  { set, fingerprint, setAt, previousValidUntil }: SecretFacts,
  { tell, validity }: Clock,
): Cell {
  if (set === null) return ['unknown', 'warn']
  if (!set) return ['not set', 'dim']
  const parts = [
    setAt === null ? 'set' : `set ${tell(setAt)[0]}`,
    fingerprint === null ? '' : `fingerprint ${fingerprint}`,
    previousValidUntil === null
      ? ''
      : `previous ${isMatched(field) ? 'valid' : 'kept'} ${validity(previousValidUntil)[0]}`,
  ]
  return [parts.filter(Boolean).join(', '), 'good']
}

const secret = (field: SecretField): Column<IntegrationView> => ({
  field,
  value: (row) => ({ ...row[field] }),
  cell: (row, clock) => secretCell(field, row[field], clock),
  cut: 'end',
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
    name('name'),
    value('platform'),
    name('workspace'),
    value('workspaceId'),
    {
      field: 'isActive',
      head: 'on',
      value: (row) => (isActiveKnown(row) ? row.isActive : null),
      cell: (row) => (!isActiveKnown(row) ? ['unknown', 'warn'] : row.isActive ? ['yes', 'good'] : ['no', 'dim']),
    },
    secret('webhookSecret'),
    secret('accessToken'),
    secret('refreshToken'),
    {
      field: 'tokenExpiresAt',
      head: 'expires',
      value: (row) => row.tokenExpiresAt,
      cell: (row, clock) => expiryCell(row, clock, 'no token'),
    },
    value('tokenExpiry'),
    {
      field: 'tokenRefresh',
      value: (row) => row.tokenRefresh,
      cell: (row) => [row.tokenRefresh === null ? '' : refreshWords[row.tokenRefresh], 'bad'],
      cut: 'end',
    },
    name('app'),
    value('slackTeamId'),
    name('slackTeamName'),
    value('slackBotUserId'),
    value('pylonAccountId'),
    { ...value('config'), cut: 'end' },
    ago('lastUsedAt', 'used', 'never'),
    ago('createdAt', 'created'),
    value('createdBy'),
    value('version'),
  ],
  short: ['workspace', 'name', 'platform', 'isActive', 'lastUsedAt', 'tokenExpiresAt', 'id'],
  essential: ['name', 'workspace', 'id', 'platform', 'isActive', 'tokenExpiresAt'],
  redundant: ['workspaceId', 'tokenExpiry'],
  id: (row) => row.id,
}

/** How integrations are shown with their labels, where those are known. */
export const labelledView: View<IntegrationView & Partial<Labels>> = {
  ...integrationView,
  columns: [
    ...integrationView.columns,
    { field: 'owner', value: ({ owner = null }) => owner, cut: 'middle' },
    {
      field: 'tags',
      value: ({ tags }) => ({ ...tags }),
      cell: ({ tags = {} }) => [
        Object.entries(tags)
          .map(([key, value]) => `${key}=${value}`)
          .join(', '),
        'plain',
      ],
      cut: 'end',
    },
    { field: 'note', value: ({ note = null }) => note, cut: 'end' },
  ],
}

const dayMs = 86_400_000

/** How lists show integrations: with what their health has to say, to people only where something is wrong. */
export const listedView: View<ListedIntegration> = {
  ...labelledView,
  columns: [
    ...labelledView.columns,
    {
      field: 'lastCheck',
      head: 'check',
      value: ({ lastCheck }) => lastCheck && { ...lastCheck },
      cell: ({ lastCheck }) => [wrongWith(lastCheck), 'bad'],
    },
    {
      field: 'refusedWebhooks',
      head: 'refused',
      value: ({ refusedWebhooks }) => refusedWebhooks && { ...refusedWebhooks },
      cell: ({ refusedWebhooks: refused }, { now }) =>
        refused && now - Date.parse(refused.lastAt) < dayMs ? [String(refused.count), 'bad'] : ['', 'plain'],
    },
  ],
  notable: ['refusedWebhooks', 'lastCheck'],
  essential: ['name', 'workspace', 'refusedWebhooks', 'lastCheck', 'id', 'platform', 'isActive', 'tokenExpiresAt'],
}

/** How one integration is shown. @param creator the e-mail address of who created it, which people see in place of the id */
export const shownView = (creator: string | undefined): View<ListedIntegration> => ({
  ...listedView,
  columns: listedView.columns.map((column): Column<ListedIntegration> => {
    if (column.field === 'createdBy' && creator !== undefined) return { ...column, cell: () => [creator, 'plain'] }
    if (column.field === 'lastCheck') return { field: 'lastCheck', value: column.value, cell: lastCheckCell }
    if (column.field === 'refusedWebhooks')
      return { field: 'refusedWebhooks', value: column.value, cell: refusedWebhooksCell }
    return column
  }),
})

/** What a check has found, in a word; nothing where that is fine, or nothing is known. */
const wrongWith = (check: ListedIntegration['lastCheck']): string =>
  (check?.verdict === 'ok' ? check.code : check?.verdict) ?? ''

function lastCheckCell({ lastCheck }: ListedIntegration, { tell }: Clock): Cell {
  if (lastCheck === null) return ['', 'plain']
  const { verdict, code, at } = lastCheck
  return [
    `${verdict}${code === null ? '' : ` (${code})`}, ${tell(at)[0]}`,
    wrongWith(lastCheck) === '' ? 'good' : 'bad',
  ]
}

function refusedWebhooksCell({ refusedWebhooks }: ListedIntegration, { tell, now }: Clock): Cell {
  if (refusedWebhooks === null) return ['', 'plain']
  const { count, since, lastAt, lastReason } = refusedWebhooks
  const first = count === 1 ? '' : `the first ${tell(since)[0]}, the last `
  return [`${count}, ${first}${tell(lastAt)[0]} (${lastReason})`, now - Date.parse(lastAt) < dayMs ? 'bad' : 'plain']
}

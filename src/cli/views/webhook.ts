import { type IntegrationView, refOf } from '../../integration.ts'
import type { Sent } from '../../operations/webhooks/send.ts'
import type { WebhookCheck } from '../../operations/webhooks/verify.ts'
import type { Column, View } from '../output/values.ts'
import { value } from './cells.ts'

type Of = { readonly integration: IntegrationView; readonly secret: WebhookCheck['secret'] }

const id: Column<Of> = { field: 'id', value: ({ integration }) => integration.id }
const name: Column<Of> = { field: 'name', value: ({ integration }) => refOf(integration) }
const secret: Column<Of> = {
  field: 'secret',
  value: ({ secret }) =>
    secret && {
      number: secret.number,
      state: secret.validUntil === null ? 'current' : 'previous',
      fingerprint: secret.fingerprint,
      validUntil: secret.validUntil,
    },
  cell: ({ secret }) => {
    if (!secret) return ['none', 'dim']
    const { number, fingerprint, validUntil } = secret
    return [
      `number ${number}, fingerprint ${fingerprint}, ${validUntil === null ? 'current' : `valid until ${validUntil}`}`,
      'plain',
    ]
  },
}

/** How the outcome of `webhook verify` is shown. */
export const webhookCheckView: View<WebhookCheck> = {
  columns: [
    id,
    name,
    { field: 'accepted', value: ({ refusal }) => refusal === null },
    { field: 'reason', value: ({ refusal }) => refusal },
    secret,
    value('scheme'),
    { field: 'skewSeconds', value: ({ skew }) => skew },
    { field: 'otherIntegration', value: ({ owner }) => owner && { ...owner } },
    { field: 'findings', value: ({ findings }) => [...findings] },
  ],
  short: ['name', 'accepted', 'reason', 'secret', 'skewSeconds'],
  id: ({ integration }) => integration.id,
}

/** How the outcome of `webhook send` is shown. */
export const sentView: View<Sent> = {
  columns: [
    id,
    name,
    value('sample'),
    secret,
    value('host'),
    {
      field: 'status',
      value: ({ answer }) => answer.status,
      cell: ({ answer: { status } }) => [String(status), status >= 200 && status < 300 ? 'good' : 'bad'],
    },
    value('challengeReturned'),
    { field: 'milliseconds', value: ({ answer }) => answer.milliseconds },
    { field: 'location', value: ({ answer }) => answer.location },
    { field: 'body', value: ({ answer }) => answer.body },
    { field: 'truncated', value: ({ answer }) => answer.truncated },
  ],
  short: ['name', 'host', 'status', 'milliseconds', 'body'],
  id: ({ integration }) => integration.id,
}

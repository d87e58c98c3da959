import type { IntegrationId } from '../../brands.ts'
import { flagOf, type IntegrationView, refOf, secretColumns } from '../../integration.ts'
import type { RevokedToken } from '../../operations/secrets/revocation.ts'
import { commandLine } from '../../operations/texts.ts'
import type { Context } from '../context.ts'
import type { View } from '../output/values.ts'
import { integrationView } from './integration.ts'

/** An integration, and its tokens that its platform was asked to revoke. */
export type Revoking = IntegrationView & { readonly revocations: readonly RevokedToken[] }

/** An integration as an answer tells it, with its own of some tokens. */
export const withRevocations = (integration: IntegrationView, revoked: readonly RevokedToken[]): Revoking => ({
  ...integration,
  revocations: revoked.filter((token) => token.integration.id === integration.id),
})

/** How changes are shown that may have tokens revoked. */
export const revokingView: View<Revoking> = {
  ...integrationView,
  columns: [
    ...integrationView.columns,
    {
      field: 'revocations',
      value: ({ revocations }) =>
        revocations.map(({ field, fingerprint, answer: { outcome, code }, expired }) => ({
          field: 'accessToken',
          state: field === secretColumns.accessToken ? 'current' : 'previous',
          fingerprint,
          outcome,
          code,
          expiredIn: expired.map(({ id }) => id),
        })),
    },
  ],
}

/** Warns of the other integrations that have a token which was just revoked. */
export function warnOfSharers(ctx: Context, revoked: readonly RevokedToken[]): void {
  const own = new Set(revoked.map(({ integration }) => integration.id))
  const others = (which: (token: RevokedToken) => readonly IntegrationView[]) => [
    ...new Map<IntegrationId, IntegrationView>(
      revoked.flatMap(which).flatMap((one) => (own.has(one.id) ? [] : [[one.id, one] as const])),
    ).values(),
  ]
  const named = (integrations: readonly IntegrationView[]) => integrations.map(refOf).join(', ')
  const sharers = others(({ expired }) => expired)
  const [first] = sharers
  if (first) {
    const replace = commandLine('rotate', [first.id], ['--field', flagOf('accessToken'), '--shared'])
    ctx.output.warn(
      `the revoked access-token is that of ${named(sharers)}, too, where its expiry is set to now; to replace it: ${replace}`,
    )
  }
  const unread = others((token) => token.unread)
  if (unread.length > 0)
    ctx.output.warn(
      `the revoked access-token may be that of ${named(unread)}, too, where the stored value cannot be decrypted`,
    )
}

/** What webhooks name integrations by. @module */
import { isStorable } from '../../integration.ts'
import type { Platform, WebhookRequest } from '../../platforms/platform.ts'
import type { IntegrationMatch } from '../../store/tables/integration-filter.ts'
import type { NamedIntegration } from '../../store/tables/integrations.ts'

/** How long an id may be that a request names, in UTF-16 units. */
const maxIdLength = 200

/** How large a body may be that names no tenant. */
const maxAnonymousBytes = 16_384

/** Which integrations a webhook may be for. */
export type LookupKey =
  /** Those that it claims to be for. */
  | { readonly kind: 'match'; readonly match: IntegrationMatch }
  /** Where it claims nothing, or no tenant that is known, an integration for each distinct secret of the platform. */
  | { readonly kind: 'platform'; readonly platform: string }
  /** None: whether there are rows of the platform that no key finds, because what names them cannot be read. */
  | { readonly kind: 'strays'; readonly platform: string }

/** The integrations that a webhook of a platform claims to be for: by its tenant, or by the id of an integration. */
export const keyOf = ({ id, webhooks: { tenant } }: Platform, name: string): LookupKey => ({
  kind: 'match',
  match: tenant ? { by: 'column', platform: id, column: tenant.column, value: name } : { by: 'id', value: name },
})

/** Tells a key from others. */
export function textOf(key: LookupKey): string {
  if (key.kind !== 'match') return `${key.kind} ${key.platform}`
  const { match } = key
  // The usual ones: they are told at each webhook.
  if (match.by === 'id') return `id ${match.value}`
  if (match.by === 'column') return `column ${match.platform} ${match.column} ${match.value}`
  return JSON.stringify(match)
}

/** What a webhook of a platform names an integration by; null for one that no webhook names. */
export const nameOf = ({ webhooks: { tenant } }: Platform, integration: NamedIntegration): string | null =>
  tenant ? integration[tenant.column] : integration.id

/** The integration that the address names. */
export const addressKeys = (platform: Platform, integrationId: string | undefined): LookupKey[] =>
  integrationId !== undefined && isId(integrationId) ? [keyOf(platform, integrationId)] : []

/** The integrations that a request may be for, and the app that it says it was sent for. */
export function lookupKeys(
  platform: Platform,
  request: WebhookRequest,
  integrationId: string | undefined,
): { readonly keys: LookupKey[]; readonly app: string | undefined } {
  const { tenant } = platform.webhooks
  if (!tenant) return { keys: addressKeys(platform, integrationId), app: undefined }
  const { ids, app } = tenant.claims(request)
  if (ids.length > 0) return { keys: ids.filter(isId).map((name) => keyOf(platform, name)), app }
  // Many secrets are tried for it, so it has to be as small as the requests with which platforms try an endpoint.
  return { keys: request.body.length > maxAnonymousBytes ? [] : [{ kind: 'platform', platform: platform.id }], app }
}

const isId = (id: string) => isStorable(id) && id.length <= maxIdLength

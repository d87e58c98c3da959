/** Whose secret the apps of a platform sign with. @module */
import { LRUCache } from 'lru-cache'
import type { IntegrationId } from '../../brands.ts'
import type { Platform, WebhookRequest } from '../../platforms/platform.ts'
import type { LookupKey } from './secrets.ts'

/** How many apps are remembered. */
const maxApps = 1000

/** An integration that holds the secret of a request. */
interface Holder {
  readonly entry: { readonly integration: { readonly id: IntegrationId } }
}

/**
 * Remembers for each app an integration that holds the secret of the app, as requests show whose signature is valid:
 * nothing in a database tells by which id a platform calls an app in its requests.
 */
export class AppSigners {
  readonly #integrations = new LRUCache<string, IntegrationId>({ max: maxApps })

  /** Remembers who holds the secret that a request was signed with. What is remembered stays while it is right. */
  learn(platform: Platform, request: WebhookRequest, holders: readonly Holder[]): void {
    const app = appOf(platform, request)
    const ids = holders.map(({ entry }) => entry.integration.id)
    const [first] = ids
    if (app === undefined || first === undefined) return
    const known = this.#integrations.get(app)
    if (known === undefined || !ids.includes(known)) this.#integrations.set(app, first)
  }

  /** Where to look first for the secret that a request may be signed with. */
  keys(platform: Platform, request: WebhookRequest): LookupKey[] {
    const app = appOf(platform, request)
    const id = app === undefined ? undefined : this.#integrations.get(app)
    return id === undefined ? [] : [{ kind: 'match', match: { by: 'id', value: id } }]
  }
}

function appOf({ id, webhooks }: Platform, request: WebhookRequest): string | undefined {
  const app = webhooks.tenant?.app?.(request)
  return app === undefined ? undefined : `${id} ${app}`
}

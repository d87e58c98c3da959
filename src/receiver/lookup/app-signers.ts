/** Whose secret the apps of a platform sign with. @module */
import { LRUCache } from 'lru-cache'
import type { IntegrationId } from '../../brands.ts'
import type { Platform } from '../../platforms/platform.ts'
import type { LookupKey } from './keys.ts'

/** How many apps are remembered. */
const maxApps = 1000

/** A request, and the app that it says it was sent for. */
interface Sent {
  readonly platform: Platform
  readonly app?: string | undefined
}

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
  learn({ platform, app }: Sent, holders: readonly Holder[]): void {
    const [first] = holders
    if (app === undefined || !first) return
    const name = `${platform.id} ${app}`
    const known = this.#integrations.get(name)
    if (!holders.some(({ entry }) => entry.integration.id === known))
      this.#integrations.set(name, first.entry.integration.id)
  }

  /** Where to look first for the secret that a request may be signed with. */
  keys({ platform, app }: Sent): LookupKey[] {
    const id = app === undefined ? undefined : this.#integrations.get(`${platform.id} ${app}`)
    return id === undefined ? [] : [{ kind: 'match', match: { by: 'id', value: id } }]
  }
}

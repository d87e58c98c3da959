/** What a receiver looks up before a webhook asks. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Platform } from '../../platforms/platform.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import type { LookupCache } from './cache.ts'
import { nameOf } from './keys.ts'
import type { SecretReader } from './secrets.ts'

/** How many integrations are looked up. */
const maxIntegrations = 1000

/** How many tenants or ids are looked up by one reading, which requests may have to wait for on SQLite. */
const namesAtOnce = 50

/** How long requests go first between two readings, in milliseconds. */
const pauseMs = 20

/** What lookups are made with, and where they are kept. */
interface WarmUp {
  readonly store: Pick<Store, 'read'>
  readonly secrets: Pick<SecretReader, 'lookUpAll'>
  readonly cache: Pick<LookupCache, 'keep'>
}

/**
 * Looks up the integrations that were used last, so that their webhooks are accepted when the database goes away soon
 * after a start. The first error ends it.
 *
 * @throws what the store throws; AbortError when it is ended
 */
export async function warmUp({ store, secrets, cache }: WarmUp, signal: AbortSignal): Promise<void> {
  // An application that has nothing else to do may end.
  const pause = () => sleep(pauseMs, undefined, { ref: false, signal })
  async function lookUp(platform: Platform, names: readonly string[]): Promise<void> {
    const [first, ...others] = names
    if (first === undefined) return
    await pause()
    const found = await secrets.lookUpAll(platform, [first, ...others])
    for (const [key, result] of found ?? []) cache.keep(key, result)
    if (found || others.length === 0) return
    // One of them has too many integrations to be looked up at all.
    const half = names.length / 2
    await lookUp(platform, names.slice(0, half))
    await lookUp(platform, names.slice(half))
  }
  await pause()
  const used = await store.read((db) => db.integrations.lastUsed(maxIntegrations))
  for (const platform of platforms) {
    const named = used.filter((one) => one.platform === platform.id)
    const names = [...new Set(named.map((one) => nameOf(platform, one)))].filter((name) => name !== null)
    for (let at = 0; at < names.length; at += namesAtOnce) await lookUp(platform, names.slice(at, at + namesAtOnce))
  }
}

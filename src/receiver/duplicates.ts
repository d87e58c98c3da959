/** Recognises requests that came before. @module */
import { LRUCache } from 'lru-cache'

/** How long undated requests are remembered, and how many. */
const limits = { ttl: 600_000, max: 10_000 }

/** Undated requests that came before, for ten minutes from the first time. @param perf another clock, for tests */
export const createDuplicates = (perf: { now(): number } = performance) =>
  new LRUCache<string, true>({ ...limits, ttlResolution: 0, perf })

/** Remembers requests. @returns whether one of them came before */
export function remember(duplicates: LRUCache<string, true>, requests: readonly string[]): boolean {
  // A request that is remembered is not set again: a sender that repeats it does not prolong its time.
  const fresh = requests.filter((request) => !duplicates.has(request))
  for (const request of fresh) duplicates.set(request, true)
  return fresh.length < requests.length
}

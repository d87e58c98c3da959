import type { Store } from '../../store/store.ts'

const last = new WeakMap<Store, Promise<unknown>>()

/**
 * Uses a store when whoever asked before is done with it: changes wait for each other anyway, and better here than for
 * the database's lock.
 */
export function serialize<T>(store: Store, work: () => Promise<T>): Promise<T> {
  const before = last.get(store) ?? Promise.resolve()
  const mine = before.then(work)
  last.set(
    store,
    mine.catch(() => {}),
  )
  return mine
}

/** Does something with each of many, a few at a time. The results stand in the order of what they are of. */
export async function mapConcurrent<T, R>(many: readonly T[], few: number, work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = many.entries()
  const worker = async () => {
    for (const [i, one] of queue) results[i] = await work(one)
  }
  await Promise.all(Array.from({ length: Math.min(few, many.length) }, worker))
  return results
}

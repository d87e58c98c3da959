import pLimit, { type LimitFunction } from 'p-limit'

/** Runs at most `maxConcurrency` pieces of work at a time, in the order of the calls; `map` does so for each of many items. */
export const semaphore = (maxConcurrency: number): LimitFunction => pLimit(maxConcurrency)

const queues = new WeakMap<object, LimitFunction>()

/** Runs `work` once all work that was asked for before with the same owner is done, whether that failed or not. */
export function serialize<T>(owner: object, work: () => Promise<T>): Promise<T> {
  const queue = queues.get(owner) ?? semaphore(1)
  queues.set(owner, queue)
  return queue(work)
}

/** A function that runs `work`; calls during a run share that run and its result. */
export function singleFlight<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}

import { is } from '../errors.ts'
import { recordExternalChanges } from '../operations/secrets/history.ts'
import type { Store } from '../store/store.ts'

/** How often the use of one integration is written down at most, in milliseconds. */
const apart = 60_000

/** How often to look whether something is due, in milliseconds. */
const often = 1000

/** By version; null for values that the application has written and nobody has recorded. */
type Pending = Map<number | null, { readonly count: number; readonly lastAt: Date }>

/**
 * Writes down how secrets are used, and that this endpoint is there: at most one write for each integration and minute.
 * Nobody waits for it.
 *
 * @param problem is told what could not be written; it is tried again with what comes next
 */
export function createUsageRecorder(store: Store, problem: (error: unknown) => void) {
  const pending = new Map<string, Pending>()
  const written = new Map<string, number>()
  let reported = Number.NEGATIVE_INFINITY
  let writing: Promise<void> = Promise.resolve()

  /** @param all those too whose minute is not over */
  async function write(all: boolean): Promise<void> {
    const now = performance.now()
    const due = [...pending].filter(([id]) => all || now - (written.get(id) ?? Number.NEGATIVE_INFINITY) >= apart)
    if (now - reported >= apart) {
      reported = now
      await store.recordUsage((notes) => notes.reportIn(new Date())).catch(problem)
    }
    for (const [id, uses] of due) {
      pending.delete(id)
      written.set(id, now)
      for (const [number, { count, lastAt }] of uses)
        await store
          .recordUsage((notes) => notes.used({ id, field: 'webhookSecret', number, count, lastAt }))
          .catch((error: unknown) => {
            // Of a connection that was lost nobody knows what it has written: better a match too few than one too many.
            const unwritten = is(error, 'DATABASE_BUSY')
            add(id, lastAt, number, unwritten ? count : 0)
            problem(error)
          })
      if (uses.has(null)) await recordExternalChanges(store, id, ['webhookSecret']).catch(problem)
    }
    // Of those that were not used since, nothing has to be remembered.
    for (const [id, at] of written) if (now - at >= apart && !pending.has(id)) written.delete(id)
  }

  function add(id: string, at: Date, number: number | null, count: number): void {
    const uses: Pending = pending.get(id) ?? new Map()
    pending.set(id, uses)
    const use = uses.get(number)
    uses.set(number, { count: (use?.count ?? 0) + count, lastAt: use && use.lastAt > at ? use.lastAt : at })
  }

  const inTurn = (all: boolean): Promise<void> => {
    writing = writing.then(() => write(all))
    return writing
  }
  const timer = setInterval(() => inTurn(false), often)
  // An application that has nothing else to do may end.
  timer.unref()

  return {
    /** A request matched a version of an integration's webhook secret; null for one that nobody has recorded. */
    matched(id: string, number: number | null, at: Date): void {
      add(id, at, number, 1)
    },

    /** Writes down what is left, and stops. */
    async close(): Promise<void> {
      clearInterval(timer)
      await inTurn(true)
    },

    /** Says that this endpoint is there. @throws what the store throws */
    reportIn: async (): Promise<void> => {
      reported = performance.now()
      await store.recordUsage((notes) => notes.reportIn(new Date()))
    },
  }
}

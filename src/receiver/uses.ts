import { noticeSecrets } from '../operations/secrets.ts'
import type { Store } from '../store/store.ts'
import type { Uses } from '../store/uses.ts'

/** How often the use of one integration is written down at most, in milliseconds. */
const apart = 60_000

/** How often to look whether something is due, in milliseconds. */
const often = 1000

interface Pending {
  lastUsedAt: Date
  /** A value matched that the application has written and nobody has recorded. */
  unrecorded: boolean
  readonly matched: Map<number, { count: number; lastAt: Date }>
}

/**
 * Writes down how secrets are used, and that this endpoint is there: at most one write for each integration and minute.
 * Nobody waits for it.
 *
 * @param problem is told what could not be written; it is tried again with what comes next
 */
export function noteUses(store: Store, problem: (error: unknown) => void) {
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
      await store.note((notes) => notes.reportIn(new Date())).catch(problem)
    }
    for (const [id, { lastUsedAt, unrecorded, matched }] of due) {
      pending.delete(id)
      written.set(id, now)
      const uses: Uses = {
        id,
        lastUsedAt,
        matched: [...matched].map(([number, { count, lastAt }]) => ({ field: 'webhookSecret', number, count, lastAt })),
      }
      await store
        .note((notes) => notes.used(uses))
        .catch((error: unknown) => {
          for (const one of uses.matched) add(id, one.lastAt, one.number, one.count)
          problem(error)
        })
      if (unrecorded) await noticeSecrets(store, id, ['webhookSecret']).catch(problem)
    }
    // Of those that were not used since, nothing has to be remembered.
    for (const [id, at] of written) if (now - at >= apart && !pending.has(id)) written.delete(id)
  }

  function add(id: string, at: Date, number: number | null, count: number): void {
    const uses = pending.get(id) ?? { lastUsedAt: at, unrecorded: false, matched: new Map() }
    pending.set(id, uses)
    if (at > uses.lastUsedAt) uses.lastUsedAt = at
    if (number === null) {
      uses.unrecorded = true
      return
    }
    const matched = uses.matched.get(number)
    uses.matched.set(number, {
      count: (matched?.count ?? 0) + count,
      lastAt: matched && matched.lastAt > at ? matched.lastAt : at,
    })
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
      await store.note((notes) => notes.reportIn(new Date()))
    },
  }
}

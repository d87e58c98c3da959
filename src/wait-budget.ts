/** What the database answers within this time, in milliseconds, was not waited for. */
export const promptMs = 500

/** A wait that is under way. */
export interface Wait {
  /** Until when, by `performance.now()`. */
  readonly deadline: number
  /** The wait is over: what follows is work, and another call does nothing. */
  over(): void
}

/**
 * The time that a command may wait for its database in all. It comes back while the command works: a batch of an hour may
 * wait for each of its changes.
 */
export class WaitBudget {
  readonly #wholeMs: number
  #leftMs: number
  #since = performance.now()

  constructor(wholeMs: number) {
    this.#wholeMs = wholeMs
    this.#leftMs = wholeMs
  }

  begin(): Wait {
    const begun = performance.now()
    const deadline = begun + this.#left(begun)
    let ended = false
    const over = () => {
      const now = performance.now()
      const counts = !ended && now - begun > promptMs
      ended = true
      if (!counts) return
      // Of waits at the same time, the one that leaves least counts.
      this.#leftMs = Math.max(Math.min(this.#left(now), deadline - now), 0)
      this.#since = now
    }
    return { deadline, over }
  }

  #left(now: number): number {
    return Math.min(this.#leftMs + now - this.#since, this.#wholeMs)
  }
}

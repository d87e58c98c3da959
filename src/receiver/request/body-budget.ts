/** The memory that the bodies of requests may take, counted while they are read. @module */

/** How many bytes all bodies may take, and how many of these are kept for small bodies. */
const maxBytes = 67_108_864
const smallOnlyBytes = 16_777_216

/** How large a small body may be. */
const maxSmallBytes = 1_048_576

/** A body that comes slower gives its place up first, once it has had a moment to begin. */
const minBytesPerSecond = 65_536
const slowAfterMs = 1000

/** The memory of one body. */
export interface BodyPlace {
  /** Takes more memory; false when there is none, or when the place was given up: the body is to be dropped. */
  take(bytes: number): boolean
  /** Says that the body has arrived as a whole, so that the place is not given up any more. */
  complete(): void
  /** Has a function called when the place is given up to another body. */
  onDisplaced(listener: () => void): void
  /** Gives the memory back. */
  close(): void
}

interface Held {
  readonly sender: string
  /** When memory was first taken: what comes before that may be a wait of ours. */
  takenAt: number | undefined
  displaced: () => void
  bytes: number
  complete: boolean
}

/** One limit for the bodies of all requests. Where memory is short, unfinished bodies give their places up. */
export class BodyBudget {
  readonly #clock: { now(): number }
  readonly #held = new Set<Held>()
  #bytes = 0
  #largeBytes = 0

  /** @param clock another clock, for tests */
  constructor(clock: { now(): number } = performance) {
    this.#clock = clock
  }

  /** The memory that is taken, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** A place for a body. @param sender which bodies are alike: the platform, and the integration that the address names */
  open(sender: string): BodyPlace {
    const held: Held = { sender, takenAt: undefined, displaced: () => {}, bytes: 0, complete: false }
    this.#held.add(held)
    return {
      take: (bytes) => this.#take(held, bytes),
      complete: () => {
        held.complete = true
      },
      onDisplaced: (listener) => {
        held.displaced = listener
      },
      close: () => this.#release(held),
    }
  }

  #take(held: Held, bytes: number): boolean {
    held.takenAt ??= this.#clock.now()
    while (this.#held.has(held)) {
      const after = held.bytes + bytes
      const isLarge = after > maxSmallBytes
      // A body that grows large takes all its bytes along.
      const largeAfter = this.#largeBytes - largePart(held) + (isLarge ? after : 0)
      const largeIsFull = isLarge && largeAfter > maxBytes - smallOnlyBytes
      if (!largeIsFull && this.#bytes + bytes <= maxBytes) {
        this.#bytes += bytes
        this.#largeBytes = largeAfter
        held.bytes = after
        return true
      }
      const next = this.#next(held, after, largeIsFull) ?? held
      this.#release(next)
      next.displaced()
    }
    return false
  }

  /** Whose place is given up: that of a slow body, or else the largest of the sender whose bodies take most. */
  #next(held: Held, after: number, amongLarge: boolean): Held | undefined {
    const size = (one: Held) => (one === held ? after : one.bytes)
    const unfinished = [...this.#held].filter((one) => !one.complete && size(one) > (amongLarge ? maxSmallBytes : 0))
    const slow = unfinished.filter((one) => this.#isSlow(one))
    if (slow.length > 0) return largest(slow, size)
    const senders = new Map<string, number>()
    for (const one of unfinished) senders.set(one.sender, (senders.get(one.sender) ?? 0) + size(one))
    const most = Math.max(...senders.values())
    return largest(
      unfinished.filter(({ sender }) => senders.get(sender) === most),
      size,
    )
  }

  #isSlow({ takenAt, bytes }: Held): boolean {
    const now = this.#clock.now()
    const ms = now - (takenAt ?? now)
    return ms >= slowAfterMs && (bytes * 1000) / ms < minBytesPerSecond
  }

  #release(held: Held): void {
    if (!this.#held.delete(held)) return
    this.#bytes -= held.bytes
    this.#largeBytes -= largePart(held)
  }
}

const largePart = ({ bytes }: Held) => (bytes > maxSmallBytes ? bytes : 0)

const largest = (all: readonly Held[], size: (one: Held) => number): Held | undefined =>
  all.toSorted((a, b) => size(b) - size(a))[0]

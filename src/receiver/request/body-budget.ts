/** The memory that the bodies of requests may take, counted while they are read. @module */

/** How many bytes all bodies may take, and how many of these are kept for small bodies. */
const maxBytes = 67_108_864
const smallOnlyBytes = 16_777_216

/** How large a small body may be. */
const maxSmallBytes = 1_048_576

/** A body that comes slower gives its place up first, once it has had a moment to begin. */
const minBytesPerSecond = 65_536
const slowAfterMs = 1000

/** A block of this size is used again for other bodies: under a flood, new ones would keep the process collecting garbage. */
export const maxBlockBytes = 65_536

/** The memory of one body. */
export interface BodyPlace {
  /** Takes memory for so many bytes, at most `maxBlockBytes`; undefined in place of false. The block is not to be used once the place is closed. */
  block(bytes: number): Uint8Array | undefined
  /** Takes more memory; false when there is none, or when the place was given up: the body is to be dropped. */
  take(bytes: number): boolean
  /** Says that the body has arrived as a whole, so that the place is not given up any more. */
  complete(): void
  /** Has a function called when the place is given up to another body. */
  onDisplaced(listener: () => void): void
  /** When the body was complete, on this process's own clock (`performance.now()`); undefined before. */
  readonly completedAt: number | undefined
  /** Gives the memory back. */
  close(): void
}

/** What a budget knows of a body. */
class Held implements BodyPlace {
  readonly sender: string
  /** When memory was first taken: what comes before that may be a wait of ours. */
  takenAt: number | undefined
  displaced = () => {}
  bytes = 0
  completedAt: number | undefined
  readonly blocks: Uint8Array[] = []
  readonly #budget: Budget

  constructor(sender: string, budget: Budget) {
    this.sender = sender
    this.#budget = budget
  }

  block(bytes: number): Uint8Array | undefined {
    return this.#budget.take(this, bytes) ? this.#budget.block(this, bytes) : undefined
  }

  take(bytes: number): boolean {
    return this.#budget.take(this, bytes)
  }

  complete(): void {
    this.completedAt = this.#budget.now()
  }

  onDisplaced(listener: () => void): void {
    this.displaced = listener
  }

  close(): void {
    this.#budget.close(this)
  }
}

/** What a place asks of its budget. */
interface Budget {
  now(): number
  take(held: Held, bytes: number): boolean
  block(held: Held, bytes: number): Uint8Array
  close(held: Held): void
}

/** One limit for the bodies of all requests. Where memory is short, unfinished bodies give their places up. */
export class BodyBudget {
  readonly #clock: { now(): number }
  readonly #held = new Set<Held>()
  readonly #spare: Uint8Array[] = []
  readonly #budget: Budget = {
    now: () => this.#clock.now(),
    take: (held, bytes) => this.#take(held, bytes),
    block: (held, bytes) => this.#block(held, bytes),
    close: (held) => {
      this.#release(held)
      if (held.blocks.length > 0 || this.#spare.length > 0) this.#recycle(held)
    },
  }
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
    const held = new Held(sender, this.#budget)
    this.#held.add(held)
    return held
  }

  #block(held: Held, bytes: number): Uint8Array {
    const spare = bytes === maxBlockBytes ? this.#spare.pop() : undefined
    const block = spare ?? new Uint8Array(bytes)
    if (bytes === maxBlockBytes) held.blocks.push(block)
    this.#trim()
    return block
  }

  /** Only when its place is closed: a body that gave its place up may be in the middle of a chunk. */
  #recycle(held: Held): void {
    this.#spare.push(...held.blocks.splice(0))
    this.#trim()
  }

  /** What is spare lies within the limit too, and goes with the last body. */
  #trim(): void {
    const most = this.#held.size === 0 ? 0 : Math.floor((maxBytes - this.#bytes) / maxBlockBytes)
    if (this.#spare.length > most) this.#spare.length = most
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

  /**
   * Whose place is given up: the largest of slow bodies; or else the slowest of the senders that take most, and where that
   * is not known yet, the largest of the sender that takes most.
   */
  #next(held: Held, after: number, amongLarge: boolean): Held | undefined {
    const now = this.#clock.now()
    const unfinished = [...this.#held]
      .map((one) => ({ one, size: one === held ? after : one.bytes, speed: speedOf(one, now) }))
      .filter(({ one, size }) => one.completedAt === undefined && size > (amongLarge ? maxSmallBytes : 0))
      .toSorted((a, b) => b.size - a.size)
    const slow = unfinished.find(({ speed }) => speed < minBytesPerSecond)
    if (slow) return slow.one
    const senders = new Map<string, number>()
    for (const { one, size } of unfinished) senders.set(one.sender, (senders.get(one.sender) ?? 0) + size)
    const sumOf = ({ one }: { readonly one: Held }) => senders.get(one.sender) ?? 0
    const much = Math.max(...senders.values()) / 4
    const [next] = unfinished
      .filter((one) => sumOf(one) >= much)
      .toSorted((a, b) => (a.speed === b.speed ? sumOf(b) - sumOf(a) : a.speed - b.speed))
    return next?.one
  }

  #release(held: Held): void {
    if (!this.#held.delete(held)) return
    this.#bytes -= held.bytes
    this.#largeBytes -= largePart(held)
  }
}

const largePart = ({ bytes }: Held) => (bytes > maxSmallBytes ? bytes : 0)

/** In bytes a second; infinite for a body that has only begun. */
function speedOf({ takenAt, bytes }: Held, now: number): number {
  const ms = now - (takenAt ?? now)
  return ms < slowAfterMs ? Number.POSITIVE_INFINITY : (bytes * 1000) / ms
}

/** The bytes of a request's body. @module */
import { type BodyPlace, maxBlockBytes } from './body-budget.ts'

/** The body of a request, in pieces: large ones are copied into one piece only when they are read. */
export class Body {
  readonly length: number
  #pieces: readonly Uint8Array[]

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces
    this.length = pieces.reduce((sum, { length }) => sum + length, 0)
  }

  get pieces(): readonly Uint8Array[] {
    return this.#pieces
  }

  /** The body in one piece. */
  get bytes(): Uint8Array {
    const [first, ...others] = this.#pieces
    if (first && others.length === 0) return first
    const bytes = Buffer.concat(this.#pieces, this.length)
    this.#pieces = [bytes]
    return bytes
  }
}

const minBlockBytes = 4096

/** Bytes that come in chunks, copied: a chunk of one byte may hold much more memory. */
export class BodyBlocks {
  readonly #place: BodyPlace
  readonly #blocks: Uint8Array[] = []
  #bytes = 0
  /** How much of the last block is used. */
  #used = 0

  constructor(place: BodyPlace) {
    this.#place = place
  }

  /** @returns false when the memory does not suffice */
  append(bytes: Uint8Array): boolean {
    for (let from = 0; from < bytes.length; ) {
      let block = this.#blocks.at(-1)
      if (!block || this.#used === block.length) {
        const size = Math.min(Math.max(this.#bytes, minBlockBytes), maxBlockBytes)
        block = this.#place.block(size)
        if (!block) return false
        this.#blocks.push(block)
        this.#bytes += size
        this.#used = 0
      }
      const part = bytes.subarray(from, from + block.length - this.#used)
      block.set(part, this.#used)
      this.#used += part.length
      from += part.length
    }
    return true
  }

  whole(): Body {
    return new Body(
      this.#blocks.map((block, i) => (i < this.#blocks.length - 1 ? block : block.subarray(0, this.#used))),
    )
  }
}

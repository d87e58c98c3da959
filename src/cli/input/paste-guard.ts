import { PassThrough } from 'node:stream'
import type { Host } from '../host.ts'

/** What is said of an answer of several lines, of which nothing is taken. */
export const severalLines = 'the answer has several lines: give it alone, on one line'

/** How long the rest of a paste may come, where the terminal does not say what is pasted. */
export const restMs = 50

/** What a terminal puts around what is pasted, once it was asked to. */
const marks = { begin: '\u001b[200~', end: '\u001b[201~' }

/** A newline with anything but newlines behind it, at once: Enter that somebody pressed is the last key. */
const goesOn = /[\r\n]+[^\r\n]/

/**
 * The keys of a terminal without pastes of several lines, whose first line would answer one question, and the others the
 * next ones.
 *
 * @param refuse is told of each such paste, which is dropped
 */
export class PasteGuard extends PassThrough {
  readonly #stdin: Host['stdin']
  readonly #refuse: () => void
  readonly isTTY: boolean
  #begun = ''

  constructor(stdin: Host['stdin'], refuse: () => void) {
    super()
    this.#stdin = stdin
    this.#refuse = refuse
    this.isTTY = stdin.isTTY
    stdin.on('data', this.#take).resume()
  }

  /** As a terminal has it, for who reads keys from this. */
  setRawMode(mode: boolean): this {
    this.#stdin.setRawMode?.(mode)
    return this
  }

  /** Leaves the terminal to the next question. */
  override end(): this {
    this.#stdin.off('data', this.#take)
    this.#stdin.pause()
    return super.end()
  }

  readonly #take = (chunk: Buffer) => {
    // A byte is a character, so that none is cut.
    let text = this.#begun + chunk.toString('latin1')
    this.#begun = ''
    for (let at = text.indexOf(marks.begin); at >= 0; at = text.indexOf(marks.begin)) {
      const end = text.indexOf(marks.end, at)
      this.#pass(text.slice(0, at))
      if (end < 0) {
        this.#begun = text.slice(at)
        return
      }
      // A newline after the only line that was pasted is not an Enter that somebody pressed.
      this.#pass(text.slice(at + marks.begin.length, end).replace(/[\r\n]+$/, ''))
      text = text.slice(end + marks.end.length)
    }
    this.#pass(text)
  }

  #pass(text: string): void {
    if (goesOn.test(text)) this.#refuse()
    else if (text !== '') this.push(Buffer.from(text, 'latin1'))
  }
}

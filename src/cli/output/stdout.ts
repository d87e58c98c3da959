import { errorCodes, IntegrationsError, systemCode } from '../../errors.ts'
import type { GlobalOptions, Streams } from '../host.ts'
import type { Pager } from './pager.ts'

/**
 * Standard output. When its reader has gone, the rest goes nowhere: the command ends as it would have, a check that fails
 * with the exit code of the check.
 */
export class Stdout {
  readonly #host: Streams
  readonly #warn: (text: string) => void
  #pager: Pager | undefined
  #closed: IntegrationsError | undefined
  #later: (() => void)[] = []

  constructor(host: Streams, warn: (text: string) => void) {
    this.#host = host
    this.#warn = warn
    // Failures reach the caller that waits for the write; without a listener they would end the process as well.
    host.stdout.on('error', () => {})
  }

  /** Writes a text. @throws OUTPUT_FAILED, unless the reader has gone */
  async write(text: string): Promise<void> {
    if (this.#closed) return
    // A person reads slowly, and a transaction that waited for the next row would hold up others.
    if (this.#pager) return void this.#pager.input.write(text, (error) => error && this.#close(gone()))
    await new Promise<void>((resolve, reject) => {
      this.#host.stdout.write(text, (error) => {
        if (!error) return resolve()
        const failed = outputFailed(error)
        if (systemCode(error) !== 'EPIPE') return reject(failed)
        this.#close(failed)
        resolve()
      })
    })
  }

  /**
   * Has a pager show what is written until `endPaging`, where so many lines are more than the terminal has, and a person may
   * leave it.
   *
   * @returns whether colours are shown
   */
  async page(lines: number, { pager, input }: GlobalOptions): Promise<boolean> {
    const { stdout, env } = this.#host
    const isShort = lines < (stdout.rows || 24)
    if (!stdout.isTTY || isShort || !pager || !input || env.CI || env.TERM === 'dumb') return stdout.isTTY
    const { startPager } = await import('./pager.ts')
    this.#pager = await startPager(this.#host, this.#warn)
    return this.#pager?.hasColours ?? true
  }

  /** Waits until the pager is left, if there is one. @throws OUTPUT_FAILED when it was not found */
  async endPaging(): Promise<void> {
    await this.#pager?.close().finally(() => {
      this.#pager = undefined
      for (const work of this.#later.splice(0)) work()
    })
  }

  /** Does something once no pager has the terminal any more, which would draw over it. */
  unpaged(work: () => void): void {
    if (this.#pager) this.#later.push(work)
    else work()
  }

  #close(failed: IntegrationsError): void {
    this.#closed ??= failed
  }

  /** Runs what writes on and on; `goOn` ends it when the reader has gone. */
  async stream(work: (goOn: () => void) => Promise<void>): Promise<void> {
    try {
      await work(() => this.finish())
    } catch (error) {
      if (error !== this.#closed) throw error
    }
  }

  /** Tells whether all that was written had a reader. @throws OUTPUT_FAILED */
  finish(): void {
    if (this.#closed) throw this.#closed
  }
}

/** A pager that was left is a reader that has gone. */
const gone = () => outputFailed(Object.assign(new Error('the pager was left'), { code: 'EPIPE' }))

const outputFailed = (cause: NodeJS.ErrnoException) =>
  new IntegrationsError({
    code: 'OUTPUT_FAILED',
    message: errorCodes.OUTPUT_FAILED.meaning,
    hint: 'check that the disk has space, and run the command again',
    cause,
  })

import { errorCodes, IntegrationsError, systemCode } from '../../errors.ts'
import type { Host } from '../host.ts'

/**
 * Standard output. When its reader has gone, the rest goes nowhere: the command ends as it would have, a check that fails
 * with the exit code of the check.
 */
export class Stdout {
  readonly #stream: Host['stdout']
  #closed: IntegrationsError | undefined

  constructor(stream: Host['stdout']) {
    this.#stream = stream
    // Failures reach the caller that waits for the write; without a listener they would end the process as well.
    stream.on('error', () => {})
  }

  /** Writes a text. @throws OUTPUT_FAILED, unless the reader has gone */
  async write(text: string): Promise<void> {
    if (this.#closed) return
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(text, (error) => {
        if (!error) return resolve()
        const failed = outputFailed(error)
        if (systemCode(error) !== 'EPIPE') return reject(failed)
        this.#closed = failed
        resolve()
      })
    })
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

const outputFailed = (cause: NodeJS.ErrnoException) =>
  new IntegrationsError({
    code: 'OUTPUT_FAILED',
    message: errorCodes.OUTPUT_FAILED.meaning,
    hint: 'check that the disk has space, and run the command again',
    cause,
  })

/** How many requests may wait. @module */

/**
 * How many requests may wait at once, and how many bytes of their bodies are held meanwhile: less than half of what all
 * bodies may take, and the largest body of a platform.
 */
const maxWaiting = 1000
const maxWaitingBytes = 27_262_976

/**
 * Limits the requests that wait, and the memory that their bodies take.
 *
 * @returns a function that waits for `work`; undefined when too many requests wait already
 */
export function createAdmissionLimit() {
  let requests = 0
  let bytes = 0
  return async <T>(bodyBytes: number, work: () => Promise<T>): Promise<T | undefined> => {
    if (requests >= maxWaiting || bytes + bodyBytes > maxWaitingBytes) return undefined
    requests++
    bytes += bodyBytes
    try {
      return await work()
    } finally {
      requests--
      bytes -= bodyBytes
    }
  }
}

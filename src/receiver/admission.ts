/** How many requests may wait in one room, and how many bytes of bodies are held for them. */
const mostWaiting = 1000
const mostHeld = 67_108_864

/**
 * A room to wait in, for requests whose bodies are held meanwhile.
 *
 * @returns a function that waits there; undefined when the room is full
 */
export function createAdmissionLimit() {
  let requests = 0
  let bytes = 0
  return async <T>(body: number, wait: () => Promise<T>): Promise<T | undefined> => {
    if (requests >= mostWaiting || bytes + body > mostHeld) return undefined
    requests++
    bytes += body
    try {
      return await wait()
    } finally {
      requests--
      bytes -= body
    }
  }
}

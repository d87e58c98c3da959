/** How long a request is remembered at least, in milliseconds, and how many are at most. */
const remembered = 600_000
const most = 10_000

/**
 * Tells requests that came before, where nothing in them says when they were sent. In memory, for this process alone.
 *
 * @returns a function that remembers a request and tells whether it came before, and one that forgets it
 */
export function createDuplicateFilter() {
  // Two halves: the older one is let go as a whole.
  let older = new Set<string>()
  let newer = new Set<string>()
  let began = performance.now()
  return {
    cameBefore(request: string): boolean {
      if (newer.size >= most / 2 || performance.now() - began >= remembered) {
        older = newer
        newer = new Set()
        began = performance.now()
      }
      if (older.has(request) || newer.has(request)) return true
      newer.add(request)
      return false
    },
    forget(request: string): void {
      older.delete(request)
      newer.delete(request)
    },
  }
}

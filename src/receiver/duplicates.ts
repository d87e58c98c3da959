/** How long a request is remembered, in milliseconds, and how many are. */
const remembered = 600_000
const most = 10_000

/**
 * Tells requests that came before, where nothing in them says when they were sent. In memory, for this process alone.
 *
 * @returns a function that remembers a request and tells whether it came before, and one that forgets it
 */
export function rememberRequests() {
  const seen = new Map<string, number>()
  return {
    cameBefore(request: string): boolean {
      const now = performance.now()
      for (const [oldest, at] of seen) {
        if (now - at < remembered && seen.size < most) break
        seen.delete(oldest)
      }
      if (seen.has(request)) return true
      seen.set(request, now)
      return false
    },
    forget: (request: string): void => void seen.delete(request),
  }
}

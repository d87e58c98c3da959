import { appendFileSync } from 'node:fs'

let reached = 0

/**
 * Writes down that a place was reached, and ends the process there, as kill -9 would, when FAILPOINT names it, or
 * FAILPOINT_AT its place in the order of all that are reached, from 1 on.
 */
export function failpoint(name: string): void {
  const { FAILPOINT, FAILPOINT_AT, FAILPOINT_LOG } = process.env
  if (FAILPOINT_LOG) appendFileSync(FAILPOINT_LOG, `${name}\n`)
  if (FAILPOINT === name || Number(FAILPOINT_AT) === ++reached) process.kill(process.pid, 'SIGKILL')
}

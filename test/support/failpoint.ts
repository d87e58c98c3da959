import { appendFileSync } from 'node:fs'

/** Writes down that a place was reached, and ends the process there when FAILPOINT names it, as kill -9 would. */
export function failpoint(name: string): void {
  const { FAILPOINT, FAILPOINT_LOG } = process.env
  if (FAILPOINT_LOG) appendFileSync(FAILPOINT_LOG, `${name}\n`)
  if (FAILPOINT === name) process.kill(process.pid, 'SIGKILL')
}

import { systemCode } from '../errors.ts'
import type { Processes } from '../processes.ts'

/** The processes of this machine. */
export const processes: Processes = {
  own: process.pid,
  runs: (pid) => {
    try {
      return process.kill(pid, 0)
    } catch (error) {
      return systemCode(error) !== 'ESRCH'
    }
  },
}

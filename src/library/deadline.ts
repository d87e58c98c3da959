/** Bounds on waits for a database that may be silent. @module */
import { IntegrationsError } from '../errors.ts'

/**
 * Waits for work until a deadline; the work itself goes on.
 *
 * @throws DATABASE_UNREACHABLE at the deadline, and what the work throws
 */
export async function withDeadline<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the database has not answered for ${deadlineMs / 1000} s`
      reject(
        new IntegrationsError({ code: 'DATABASE_UNREACHABLE', message, hint: 'check the database and the network' }),
      )
    }, deadlineMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

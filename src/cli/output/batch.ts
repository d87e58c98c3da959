import { errorCodes, IntegrationsError, worstOf } from '../../errors.ts'
import type { Context } from '../context.ts'

/** What could not be done to one of several. */
export interface Failure {
  readonly name: string
  readonly error: IntegrationsError
}

/**
 * Ends a batch, whose rows were printed: tells why some failed, and throws the worst of their errors.
 *
 * @param what completes "of … were", as in "refreshed"
 * @param signal the exit code of a signal that came; one that leaves nothing pending is no failure
 */
export function finishBatch(
  ctx: Context,
  failures: readonly Failure[],
  { what, of, signal }: { readonly what: string; readonly of: number; readonly signal: number | undefined },
): void {
  const real = failures.filter(({ error }) => error.code !== 'CANCELLED')
  const code = worstOf(real.map(({ error }) => error.code))
  const worst = real.find(({ error }) => error.code === code)?.error
  if (signal !== undefined && (worst === undefined || errorCodes[worst.code].exit !== 9)) {
    ctx.exitCode = signal
    return
  }
  if (!worst) return
  if (of === 1) throw worst
  for (const { error } of real) ctx.output.warn(error.message)
  throw new IntegrationsError({
    code: worst.code,
    message: `${real.length} of ${of} were not ${what}; the worst: ${worst.message}`,
    hint: worst.hint,
    cause: worst,
    committed: worst.committed,
  })
}

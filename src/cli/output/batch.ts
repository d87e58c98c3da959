import { errorCodes, IntegrationsError, worstOf } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { View } from './output.ts'

/**
 * Prints the rows of a batch and ends it: warns of each failure, and throws the worst of them.
 *
 * @param batch `done` completes "… of … were not", as in "refreshed"
 *   `signal` is the exit code for a signal that came; it replaces every failure but an unknown outcome
 * @throws the worst error of the rows, and OUTPUT_FAILED
 */
export async function finishBatch<Row extends { readonly error?: IntegrationsError }>(
  ctx: Context,
  view: View<Row>,
  { rows, done, signal }: { rows: readonly Row[]; done: string; signal: number | undefined },
): Promise<void> {
  const unwritten = await ctx.output.rows(view, (emit) => emit(rows)).catch((error: unknown) => ({ error }))
  const errors = rows.flatMap(({ error }) => (error && error.code !== 'CANCELLED' ? [error] : []))
  const code = worstOf(errors.map((error) => error.code))
  const worst = errors.find((error) => error.code === code)
  if (signal !== undefined && (worst === undefined || errorCodes[worst.code].exit !== 9)) ctx.exitCode = signal
  else if (worst && rows.length === 1) throw worst
  else if (worst) {
    for (const { message } of errors) ctx.output.warn(message)
    throw new IntegrationsError({
      code: worst.code,
      message: `${errors.length} of ${rows.length} were not ${done}; the worst: ${worst.message}`,
      hint: worst.hint,
      cause: worst,
      committed: worst.committed,
    })
  }
  // Output that could not be written must not hide an error that forbids a retry.
  if (unwritten) throw unwritten.error
}

import { type ErrorCode, errorCodes, IntegrationsError, is, worstOf } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { RowSource, View } from './values.ts'

/** How many failures are warned of. The rows tell of the others. */
const mostWarnings = 1000

/**
 * Prints the rows of a batch and ends it: warns of the failures, and throws the worst of them.
 *
 * @param batch `failed` completes "… of …", as in "were not refreshed"
 *   `signal` is the exit code for a signal that came; it replaces every failure but an unknown outcome
 * @throws the worst error of the rows, OUTPUT_FAILED, and what the source throws
 */
export async function finishBatch<Row extends { readonly error?: IntegrationsError }>(
  ctx: Context,
  view: View<Row>,
  { source, failed, signal }: { source: RowSource<Row>; failed: string; signal?: number | undefined },
): Promise<void> {
  let rows = 0
  let failures = 0
  const warnings: string[] = []
  const first = new Map<ErrorCode, IntegrationsError>()
  const counted: RowSource<Row> = (emit, measure) =>
    source((some, idLength) => {
      rows += some.length
      for (const { error } of some) {
        if (!error || error.code === 'CANCELLED') continue
        failures++
        if (warnings.length < mostWarnings) warnings.push(error.message)
        if (!first.has(error.code)) first.set(error.code, error)
      }
      return emit(some, idLength)
    }, measure)
  const unwritten = await ctx.output.rows(view, counted).catch((error: unknown) => ({ error }))
  const code = worstOf([...first.keys()])
  const worst = code && first.get(code)
  const isUncertain = worst !== undefined && errorCodes[worst.code].exit === 9
  // A source that ended early has not told of every failure.
  if (unwritten && !is(unwritten.error, 'OUTPUT_FAILED') && !isUncertain) throw unwritten.error
  if (signal !== undefined && !isUncertain) ctx.exitCode = signal
  else if (worst && rows === 1) throw worst
  else if (worst) {
    for (const message of warnings) ctx.output.warn(message)
    if (failures > warnings.length) ctx.output.warn(`${failures - warnings.length} more ${failed}`)
    throw new IntegrationsError({
      code: worst.code,
      message: `${failures} of ${rows} ${failed}; the worst: ${worst.message}`,
      hint: worst.hint,
      cause: worst,
      committed: worst.committed,
    })
  }
  // Output that could not be written must not hide an error that forbids a retry.
  if (unwritten) throw unwritten.error
}

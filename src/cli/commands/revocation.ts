import { IntegrationsError, worstOf } from '../../errors.ts'
import { type RevocableToken, type RevokedToken, revokeTokens } from '../../operations/secrets/revocation.ts'
import { describeRevocation, revocationError } from '../../operations/secrets/revocation-answer.ts'
import type { ApiUrls } from '../../platforms/api-urls.ts'
import type { Context } from '../context.ts'
import { stopRequests } from '../interruptions.ts'
import { warnOfSharers } from '../views/revocation.ts'

/** What came of a revocation: the rest of the sentence about the change, and the error to end with once that is printed. */
export interface RevocationEnd {
  readonly told: string
  /** Those of which the answer is recorded. */
  readonly revoked: readonly RevokedToken[]
  readonly error: IntegrationsError | undefined
}

/** Runs work that the first signal does not end, since only this process knows the tokens or the answer of the platform. */
export async function untilAnswered<T>(ctx: Context, work: () => Promise<T>): Promise<T> {
  const { begin, end, exitCode } = stopRequests(() => ctx.output.note('stopping once the platform has answered'))
  begin()
  try {
    return await work()
  } finally {
    end()
    ctx.exitCode = exitCode() ?? ctx.exitCode
  }
}

/** Has the platform revoke tokens after the change that deleted them here. */
export async function revokeAfterChange(
  ctx: Context,
  tokens: readonly RevocableToken[],
  urls: ApiUrls,
): Promise<RevocationEnd> {
  if (tokens.length === 0) return { told: '', revoked: [], error: undefined }
  try {
    const store = await ctx.store()
    const revoked = await untilAnswered(ctx, () => revokeTokens(store, tokens, { urls, wait: ctx.options.wait }))
    const errors: IntegrationsError[] = []
    const told = new Map<string, readonly [RevokedToken, ...RevokedToken[]]>()
    for (const one of revoked) {
      const error = revocationError(one)
      if (error) errors.push(error)
      else told.set(describeRevocation(one), [one, ...(told.get(describeRevocation(one)) ?? [])])
      if (one.answer.reason) ctx.output.warn(one.answer.reason)
    }
    warnOfSharers(ctx, revoked)
    const worst = worstOf(errors.map(({ code }) => code))
    const error = errors.find(({ code }) => code === worst)
    for (const other of errors) if (other !== error) ctx.output.warn(other.message)
    const sentences = [...told.values()].map((same) => `; ${describeRevocation(same[0], same.length)}`)
    return { told: sentences.join(''), revoked, error }
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    return { told: '', revoked: [], error }
  }
}

import { IntegrationsError } from '../../errors.ts'
import type { Context } from '../context.ts'

/**
 * Reads what an answer tells beside a change that is made. Where that fails, the answer says so and goes without: an error
 * would have people make the change again.
 *
 * @param otherwise what the answer has in its place
 * @throws what `read` throws where nothing was changed
 */
export async function readAfterChange<T>(ctx: Context, read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!ctx.changed() || !(error instanceof IntegrationsError)) throw error
    ctx.output.warn(`the change was made, but not all that is shown of it could be read: ${error.message}`)
    return otherwise
  }
}

/** What is told of changes. @module */
import { IntegrationsError } from '../../errors.ts'
import { type IntegrationView, type Labels, refOf } from '../../integration.ts'
import type { Context } from '../context.ts'

/** Fields whose change is shown; the commands that change secrets describe that themselves. */
const shownFields = [
  'name',
  'isActive',
  'createdBy',
  'app',
  'slackTeamId',
  'slackTeamName',
  'slackBotUserId',
  'pylonAccountId',
  'owner',
] as const satisfies readonly (keyof Shown)[]

function tagChanges(before: Labels['tags'] = {}, after: Labels['tags'] = {}) {
  const [was, is] = [new Map(Object.entries(before)), new Map(Object.entries(after))]
  return [...new Set([...was.keys(), ...is.keys()])].map(
    (key) => [`tag ${key}`, was.get(key) ?? null, is.get(key) ?? null] as const,
  )
}

/** An integration, with labels where they may have changed. */
type Shown = IntegrationView & Partial<Labels>

/** What changed, in words, as in `changed Acme/support: name "a" -> "b"`; `unchanged` completes the sentence when nothing did. */
export function differences(
  { before, after }: { readonly before: Shown; readonly after: Shown },
  dryRun: boolean,
  unchanged = 'already has these values',
): string {
  const parts = [
    ...shownFields.map((field) => [field, before[field], after[field]] as const),
    ...tagChanges(before.tags, after.tags),
  ]
    .filter(([, from, to]) => from !== to)
    .map(([what, from, to]) => `${what} ${JSON.stringify(from)} -> ${JSON.stringify(to)}`)
  if (before.note !== after.note) parts.push('note')
  if (JSON.stringify(before.config) !== JSON.stringify(after.config)) parts.push('config')
  const ref = refOf(before)
  if (parts.length === 0) return `${ref} ${unchanged}; no changes made`
  return `${dryRun ? 'would change' : 'changed'} ${ref}: ${parts.join(', ')}`
}

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

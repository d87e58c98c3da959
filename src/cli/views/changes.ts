import { type IntegrationView, refOf } from '../../integration.ts'
import type { Changed } from '../../operations/change.ts'

/** Fields whose change is told; the secrets are told by what changes them. */
const told = [
  'name',
  'isActive',
  'createdBy',
  'app',
  'slackTeamId',
  'slackTeamName',
  'slackBotUserId',
  'pylonAccountId',
] as const satisfies readonly (keyof IntegrationView)[]

/** What changed, in words, as in `changed Acme/support: name "a" -> "b"`. */
export function differences({ before, after }: Changed, dryRun: boolean): string {
  const parts = told
    .filter((field) => before[field] !== after[field])
    .map((field) => `${field} ${JSON.stringify(before[field])} -> ${JSON.stringify(after[field])}`)
  const ref = refOf(before)
  if (parts.length === 0) return `${ref} is so already; nothing was changed`
  return `${dryRun ? 'would change' : 'changed'} ${ref}: ${parts.join(', ')}`
}

/** What filters of the audit log are given as. @module */
import { InvalidArgumentError } from 'commander'
import { distance } from 'fastest-levenshtein'
import { flagOf, secretFields } from '../../integration.ts'
import { type Action, actions, formerActions } from '../../store/audit/actions.ts'
import { idFlags } from './arguments.ts'

const nounOf = (action: string) => action.split('.')[0] ?? action

/** The kinds of things that actions are about, each of which stands for all actions on it. */
const nouns = [...new Set(actions.map(nounOf))]

/** The filters by action that there are, for completion. */
export const actionFilters: readonly string[] = [...nouns, ...actions]

/** Reads an action of the audit log, or its noun alone. @throws InvalidArgumentError with the nearest ones */
export function actionFilter(text: string): string {
  const today = (Object.keys(formerActions) as Action[]).find((action) => formerActions[action] === text)
  if (today !== undefined) return today
  if (actionFilters.includes(text)) return text
  const near = nearest(text)
  throw new InvalidArgumentError(
    `${near.length > 0 ? `did you mean ${near.join(', ')}? ` : ''}integrations audit list --help lists the actions`,
  )
}

/** The actions that have this verb; else the one that is spelled most alike, unless none is. */
function nearest(text: string): readonly string[] {
  const given = text.toLowerCase()
  const named = actions.filter((action) => action.slice(nounOf(action).length + 1) === given)
  if (named.length > 0) return named
  const away = (name: string) => Math.min(distance(name, given), distance(name.split('.')[1] ?? name, given))
  const [best] = actionFilters.toSorted((a, b) => away(a) - away(b))
  return best !== undefined && away(best) <= Math.max(2, given.length / 3) ? [best] : []
}

/** The fields that events name, as flags name them. */
export const auditedFields: readonly string[] = [
  ...[...secretFields, 'clientSecret'].map(flagOf),
  ...['name', 'isActive', 'config', 'createdBy', 'app', 'tokenExpiresAt', 'labels'].map(flagOf),
  ...idFlags().map(({ flag }) => flag),
]

/** Reads the name of a field, as flags, JSON or the log name it; the name of the column. @throws InvalidArgumentError */
export function auditedField(text: string): string {
  const flag = flagOf(text).replaceAll('_', '-')
  if (!auditedFields.includes(flag)) throw new InvalidArgumentError(`the fields are ${auditedFields.join(', ')}`)
  return flag.replaceAll('-', '_')
}

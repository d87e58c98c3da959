/** Which policies an integration has to keep, and what they ask of it together. @module */
import { type Instant, instantOf } from '../../brands.ts'
import type { ListedIntegration } from '../../integration.ts'
import type { Policy, PolicyScope, Requirements } from '../../store/report/policies.ts'

/** What of an integration decides whether a policy is for it. */
type Scoped = Pick<ListedIntegration, 'platform' | 'workspaceId' | 'tags'>

/** What a policy asks. */
export interface Rule {
  /** The name of the policy. */
  readonly policy: string
  /** When the policy was last set. */
  readonly setAt: Instant
}

/** A time that a policy asks, in milliseconds. */
export interface Limit extends Rule {
  readonly ms: number
}

/** What policies ask of an integration together; undefined: nothing. */
export type Asked = {
  readonly [R in keyof Requirements]?: Requirements[R] extends boolean ? Rule : Limit
}

/** When something began that is wrong by a policy: not before the policy was set. @param time in milliseconds since 1970 */
export const beginning = (time: number, rule: Rule | undefined): Instant =>
  instantOf(rule ? Math.max(time, Date.parse(rule.setAt)) : time)

/** Whether a policy is for an integration. */
const fits = ({ platform, workspaceId, tagKey, tagValue }: PolicyScope, one: Scoped): boolean =>
  (platform === null || platform === one.platform) &&
  (workspaceId === null || workspaceId === one.workspaceId) &&
  (tagKey === null || (Object.hasOwn(one.tags, tagKey) && (tagValue === null || one.tags[tagKey] === tagValue)))

const nothing: Asked = {}

/** What is asked together by policies that were read together, by their names: most integrations have the same. */
const askedTogether = new WeakMap<readonly Policy[], Map<string, Asked>>()

/** What policies ask of an integration, the strictest of each: the least age and time without use, the earliest warning. */
export function askedOf(policies: readonly Policy[], integration: Scoped): Asked {
  const own = policies.filter((policy) => fits(policy, integration))
  if (own.length === 0) return nothing
  const known = askedTogether.get(policies) ?? new Map<string, Asked>()
  askedTogether.set(policies, known)
  const names = own.map(({ name }) => name).join('/')
  const asked = known.get(names) ?? strictestOf(own)
  known.set(names, asked)
  return asked
}

function strictestOf(own: readonly Policy[]): Asked {
  const strictest = (field: 'maxSecretAge' | 'maxTokenAge' | 'expiresWithin' | 'unusedAfter', sign: 1 | -1) => {
    const limits = own.flatMap(({ name, updatedAt, [field]: seconds }) =>
      seconds === null ? [] : [{ policy: name, setAt: updatedAt, ms: seconds * 1000 }],
    )
    const [first] = limits.toSorted((a, b) => sign * (a.ms - b.ms))
    return first && { [field]: first }
  }
  const required = (field: 'expiryRequired' | 'ownerRequired') => {
    const one = own.find((policy) => policy[field])
    return one && { [field]: { policy: one.name, setAt: one.updatedAt } }
  }
  return {
    ...strictest('maxSecretAge', 1),
    ...strictest('maxTokenAge', 1),
    ...strictest('expiresWithin', -1),
    ...strictest('unusedAfter', 1),
    ...required('expiryRequired'),
    ...required('ownerRequired'),
  }
}

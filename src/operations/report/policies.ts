import { badInput, notFound, quoted } from '../../errors.ts'
import type { Policy, PolicyScope } from '../../store/report/policies.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import type { DryRun } from '../change.ts'
import { checkName } from '../names.ts'

/** A policy to set: all that it asks. */
export type NewPolicy = Omit<Policy, 'workspace' | 'updatedAt'>

/** A policy, and for how many integrations it is. */
export interface CountedPolicy extends Policy {
  readonly integrations: number
}

/**
 * Sets all that a policy asks, and of which integrations: of one that there is, what is not given is asked no more.
 *
 * @returns `before`: what the policy asked, undefined for a new one; `differs`: whether this is not what there was
 * @throws BAD_INPUT for a policy that asks nothing, or is for no integration
 */
export async function setPolicy(
  store: Store,
  policy: NewPolicy,
  { dryRun }: DryRun,
): Promise<{ readonly policy: CountedPolicy; readonly before: Policy | undefined; readonly differs: boolean }> {
  checkName('policy', policy.name)
  const { name, platform: _, workspaceId, tagKey, tagValue, ...requirements } = policy
  if (Object.values(requirements).every((one) => one === null || one === false))
    throw badInput('the policy asks for nothing', 'integrations policy set --help lists what a policy can ask for')
  return store.mutate(
    async (tx) => {
      if ((await count(tx, policy)) === 0)
        throw badInput(`the policy ${quoted(name)} is for no integration`, 'integrations list shows what there is')
      const before = (await tx.policies.list()).find((one) => one.name === name)
      if (before && isSame(before, policy)) return { policy: await counted(tx, before), before, differs: false }
      await tx.policies.set(policy)
      await tx.record({ action: before ? 'policy.change' : 'policy.add', target: { type: 'policy', id: name, name } })
      const after = (await tx.policies.list()).find((one) => one.name === name)
      if (!after) throw new Error('the policy that was set is not there')
      return { policy: await counted(tx, after), before, differs: true }
    },
    { dryRun },
  )
}

const isSame = (a: Policy, b: NewPolicy) =>
  (Object.keys(b) as (keyof NewPolicy)[]).every((field) => a[field] === b[field])

/** Removes a policy, one that cannot be read, too. @throws NOT_FOUND */
export const removePolicy = (store: Store, name: string, options: DryRun): Promise<void> =>
  store.mutate(async (tx) => {
    if (!(await tx.policies.has(name))) throw notFound(`there is no policy ${quoted(name)}`, 'integrations policy list')
    await tx.policies.remove(name)
    await tx.record({ action: 'policy.remove', target: { type: 'policy', id: name, name } })
  }, options)

/** The policies in the order of their names, each with the number of its integrations now. */
export async function countedPolicies(db: Reader): Promise<CountedPolicy[]> {
  const all: CountedPolicy[] = []
  for (const policy of await db.policies.list()) all.push(await counted(db, policy))
  return all
}

const counted = async (db: Reader, policy: Policy): Promise<CountedPolicy> => ({
  ...policy,
  integrations: await count(db, policy),
})

/** For how many integrations a policy is. */
const count = (db: Reader, { platform, workspaceId, tagKey, tagValue }: PolicyScope): Promise<number> => {
  const filter: IntegrationFilter = {
    ...(platform === null ? {} : { platform }),
    ...(workspaceId === null ? {} : { workspaceId }),
    ...(tagKey === null ? {} : { tags: [{ key: tagKey, ...(tagValue === null ? {} : { value: tagValue }) }] }),
  }
  return db.integrations.count(filter)
}

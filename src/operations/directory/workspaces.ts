import { instantOf } from '../../brands.ts'
import { conflict, IntegrationsError, shellWord } from '../../errors.ts'
import type { IntegrationView, Workspace } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { type DryRun, removalOf } from '../change.ts'
import { findWorkspace, withoutConfig } from '../find.ts'
import { alreadyExists, checkName } from '../names.ts'
import { refuseWhileRefreshed } from '../refresh/eligibility.ts'

/** Adds a workspace. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const addWorkspace = (store: Store, name: string, options: DryRun): Promise<Workspace> =>
  store.mutate((tx) => insertWorkspace(tx, name), { ...options, withModels: true })

/** Renames a workspace. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const renameWorkspace = (
  store: Store,
  { ref, name }: { readonly ref: string; readonly name: string },
  options: DryRun,
): Promise<Workspace> =>
  store.mutate(async (tx) => {
    refuseAdopted(tx, 'workspaces')
    checkName('workspace', name)
    const workspace = await findWorkspace(tx, ref, { damagedToo: true })
    if (workspace.name === name) return workspace
    await refuseTaken(tx, name)
    await tx.workspaces.rename(workspace.id, name, tx.now)
    await tx.record({ action: 'workspace.rename', target: target(workspace), fields: ['name'] })
    return { ...workspace, name }
  }, options)

/** Removes a workspace and every integration in it. @throws NOT_FOUND, AMBIGUOUS, CONFLICT, LEASE_HELD, NOT_PERMITTED in an adopted database */
export const removeWorkspace = (
  store: Store,
  ref: string,
  {
    integrations,
    ...options
  }: DryRun & { /** How many integrations the person was shown. */ integrations?: number | undefined },
): Promise<Workspace> =>
  store.mutate(async (tx) => {
    refuseAdopted(tx, 'workspaces')
    const workspace = await findWorkspace(tx, ref)
    if (integrations !== undefined && workspace.integrations !== integrations)
      throw conflict(
        `${workspace.name} now has ${workspace.integrations} integrations, not ${integrations}`,
        `check them with integrations list --workspace ${shellWord(ref)}, and try again`,
      )
    const within: IntegrationView[] = []
    // A row of which that cannot be told is listed too, and stays.
    for await (const batch of tx.integrations.list({ workspaceId: workspace.id }, { sort: 'id', descending: false }))
      for (const one of batch)
        if (one.workspaceId === workspace.id && !one.damage?.includes('id')) within.push(withoutConfig(one))
    for (const one of within) await refuseWhileRefreshed(tx, one)
    await tx.workspaces.remove(workspace.id)
    for (const one of within) await tx.record(removalOf(one))
    await tx.record({ action: 'workspace.remove', target: target(workspace) })
    return workspace
  }, options)

/** Adds a workspace within a transaction. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export async function insertWorkspace(tx: Transaction, name: string): Promise<Workspace> {
  refuseAdopted(tx, 'workspaces')
  checkName('workspace', name)
  await refuseTaken(tx, name)
  const id = crypto.randomUUID()
  await tx.workspaces.insert(id, name, tx.now)
  await tx.record({ action: 'workspace.add', target: target({ id, name }) })
  return { id, name, integrations: 0, createdAt: instantOf(tx.now) }
}

const target = ({ id, name }: Pick<Workspace, 'id' | 'name'>) => ({ type: 'workspace', id, name }) as const

/** Refuses to change a table that the application owns. @throws NOT_PERMITTED */
export function refuseAdopted(tx: Transaction, table: 'workspaces' | 'users'): void {
  if (tx.adopted)
    throw new IntegrationsError({
      code: 'NOT_PERMITTED',
      message: `the application owns the ${table} of this database`,
      hint: `change ${table} in the application`,
    })
}

async function refuseTaken(tx: Transaction, name: string): Promise<void> {
  const [taken] = await tx.workspaces.match({ by: 'name', value: name }, 1)
  if (taken) throw alreadyExists('workspace', name, `integrations workspaces show ${shellWord(name)}`)
}

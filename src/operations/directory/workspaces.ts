import { IntegrationsError, shellWord } from '../../errors.ts'
import type { Integration, Workspace } from '../../integration.ts'
import type { Changes, Store } from '../../store/store.ts'
import { removalOf } from '../change.ts'
import { findWorkspace } from '../find.ts'
import { checkName } from '../names.ts'
import { refuseWhileRefreshed } from '../refresh/eligibility.ts'

interface Options {
  readonly dryRun: boolean
}

/** Adds a workspace. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const addWorkspace = (store: Store, name: string, options: Options): Promise<Workspace> =>
  store.mutate((rows) => insertWorkspace(rows, name), options)

/** Gives a workspace another name. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const renameWorkspace = (store: Store, ref: string, name: string, options: Options): Promise<Workspace> =>
  store.mutate(async (rows) => {
    refuseAdopted(rows, 'workspaces')
    checkName('workspace', name)
    const workspace = await findWorkspace(rows, ref)
    if (workspace.name === name) return workspace
    await refuseTaken(rows, name)
    await rows.workspaces.rename(workspace.id, name, rows.now)
    await rows.record({
      action: 'workspace.rename',
      target: { type: 'workspace', id: workspace.id, name: workspace.name },
      fields: ['name'],
    })
    return { ...workspace, name }
  }, options)

/** Removes a workspace and every integration in it. @throws NOT_FOUND, AMBIGUOUS, CONFLICT, LEASE_HELD, NOT_PERMITTED in an adopted database */
export const removeWorkspace = (
  store: Store,
  ref: string,
  { integrations, ...options }: Options & { /** As many as were shown. */ integrations?: number },
): Promise<Workspace> =>
  store.mutate(async (rows) => {
    refuseAdopted(rows, 'workspaces')
    const workspace = await findWorkspace(rows, ref)
    if (integrations !== undefined && workspace.integrations !== integrations)
      throw new IntegrationsError(
        'CONFLICT',
        `${workspace.name} has ${workspace.integrations} integrations now, not ${integrations}`,
        `look with integrations list --workspace ${shellWord(workspace.id)}, and try again`,
      )
    const within: Integration[] = []
    await rows.integrations.list({ workspaceId: workspace.id }, { sort: 'id', descending: false }, async (batch) => {
      within.push(...batch)
    })
    for (const one of within) await refuseWhileRefreshed(rows, one)
    await rows.workspaces.remove(workspace.id)
    for (const one of within) await rows.record(removalOf(one))
    await rows.record({
      action: 'workspace.remove',
      target: { type: 'workspace', id: workspace.id, name: workspace.name },
    })
    return workspace
  }, options)

/** Inserts a workspace, within a transaction. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export async function insertWorkspace(rows: Changes, name: string): Promise<Workspace> {
  refuseAdopted(rows, 'workspaces')
  checkName('workspace', name)
  await refuseTaken(rows, name)
  const id = crypto.randomUUID()
  await rows.workspaces.insert(id, name, rows.now)
  await rows.record({ action: 'workspace.add', target: { type: 'workspace', id, name } })
  return { id, name, integrations: 0, createdAt: rows.now.toISOString() }
}

/** Refuses to change a table of an application that lets this tool share it. @throws NOT_PERMITTED */
export function refuseAdopted(rows: Changes, table: 'workspaces' | 'users'): void {
  if (rows.adopted)
    throw new IntegrationsError(
      'NOT_PERMITTED',
      `the application owns the ${table} of this database`,
      `change ${table} in the application`,
    )
}

async function refuseTaken(rows: Changes, name: string): Promise<void> {
  const [taken] = await rows.workspaces.match({ name }, 1)
  if (taken)
    throw new IntegrationsError(
      'ALREADY_EXISTS',
      `there is a workspace named ${JSON.stringify(name)} already`,
      `integrations workspaces show ${shellWord(taken.id)}`,
    )
}

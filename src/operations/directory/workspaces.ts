import { instantOf } from '../../brands.ts'
import { conflict, IntegrationsError, shellWord } from '../../errors.ts'
import type { Workspace } from '../../integration.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { type DryRun, removalOf } from '../change.ts'
import { findWorkspace, type Ref, refText } from '../find.ts'
import { alreadyExists, checkName } from '../names.ts'
import { leaseHeld } from '../refresh/eligibility.ts'
import { commandLine } from '../texts.ts'

/**
 * Adds a workspace.
 *
 * @param options `ifMissing`: one of this name is no error, and stays as it is
 * @returns the workspace, and whether it was added
 * @throws BAD_INPUT, ALREADY_EXISTS, AMBIGUOUS, NOT_PERMITTED in an adopted database
 */
export const addWorkspace = (
  store: Store,
  name: string,
  { ifMissing, dryRun }: DryRun & { readonly ifMissing: boolean },
): Promise<{ readonly workspace: Workspace; readonly added: boolean }> =>
  store.mutate(
    async (tx) => (ifMissing ? ensureWorkspace(tx, name) : { workspace: await insertWorkspace(tx, name), added: true }),
    { dryRun },
  )

/** Renames a workspace. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const renameWorkspace = (
  store: Store,
  { ref, name }: { readonly ref: string; readonly name: string },
  options: DryRun,
): Promise<{ readonly before: Workspace; readonly after: Workspace }> =>
  store.mutate(async (tx) => {
    refuseAdopted(tx, 'workspaces')
    checkName('workspace', name)
    const before = await findWorkspace(tx, ref, { damagedToo: true })
    if (before.name === name) return { before, after: before }
    await refuseTaken(tx, name)
    await tx.workspaces.rename(before.id, name, tx.now)
    await tx.record({ action: 'workspace.rename', target: target(before), fields: ['name'] })
    return { before, after: { ...before, name } }
  }, options)

/** How to remove a workspace. */
export interface WorkspaceRemoval extends DryRun {
  /** How many integrations the person was shown. */
  readonly integrations?: number | undefined
  /** Receives how many integrations are removed, and how many there were, after each transaction but the last. */
  readonly progress: (done: number, of: number) => void
  /** Whether to stop before the next transaction. */
  readonly stops: () => boolean
}

/**
 * Removes a workspace and every integration in it: a small one in one transaction, a large one in several, of which each
 * holds the others up for about half a second, the workspace in the last. After an interruption, the same call
 * removes the rest.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT when there are other integrations than were shown, LEASE_HELD, CANCELLED when
 *   it stops, NOT_PERMITTED in an adopted database. An error says how much was removed before.
 */
export async function removeWorkspace(
  store: Store,
  ref: Ref,
  { integrations, progress, stops, ...options }: WorkspaceRemoval,
): Promise<Workspace> {
  let whole: Workspace | undefined
  let removed = 0
  for (let limit = firstBatch; ; ) {
    let began = 0
    const shown = integrations === undefined ? undefined : integrations - removed
    const batch = await store
      .mutate((tx) => {
        began = performance.now()
        return removeBatch(tx, whole ? { id: whole.id } : ref, { limit, shown, isFirst: whole === undefined })
      }, options)
      .catch((error: unknown) => {
        throw whole ? endedEarly(error, whole, removed) : error
      })
    whole ??= batch.workspace
    removed += batch.removed
    if (batch.isLast || options.dryRun) return whole
    progress(removed, whole.integrations)
    if (stops()) throw endedEarly(stopped(whole), whole, removed)
    limit = Math.ceil(
      Math.min(Math.max((limit * batchMs) / (performance.now() - began), limit / 4), limit * 2, mostAtOnce),
    )
  }
}

/** How many integrations the first transaction removes at most, and any other. */
const firstBatch = 500
const mostAtOnce = 2000

/** How long a transaction should take, in milliseconds: all other changes wait for it. */
const batchMs = 500

/** Removes the first integrations of a workspace, and with the last of them the workspace. */
async function removeBatch(
  tx: Transaction,
  ref: Ref,
  { limit, shown, isFirst }: { readonly limit: number; readonly shown: number | undefined; readonly isFirst: boolean },
): Promise<{ readonly workspace: Workspace; readonly removed: number; readonly isLast: boolean }> {
  refuseAdopted(tx, 'workspaces')
  const workspace = await findWorkspace(tx, ref)
  if (shown !== undefined && workspace.integrations !== shown)
    throw conflict(
      `${workspace.name} now has ${workspace.integrations} integrations, not ${shown}`,
      `check them with integrations list --workspace ${shellWord(refText(ref))}, and try again`,
    )
  const { integrations, hasMore } = await tx.integrations.within(workspace.id, limit)
  const ids = integrations.map(({ id }) => id)
  // Those of all before anything is removed.
  const [lease] = await (isFirst ? tx.refresh.leasesWithin(workspace.id) : tx.refresh.leasesOf(ids))
  if (lease) {
    const [held] = await tx.integrations.match({ by: 'id', value: lease.integrationId }, 1)
    if (held) throw leaseHeld(held, lease, 'try again after the lease')
  }
  await tx.integrations.remove(...ids)
  for (const one of integrations) await tx.record(removalOf(one))
  if (!hasMore) {
    await tx.workspaces.remove(workspace.id)
    await tx.record({ action: 'workspace.remove', target: target(workspace) })
  }
  return { workspace, removed: ids.length, isLast: !hasMore }
}

const stopped = ({ name }: Workspace) =>
  new IntegrationsError({
    code: 'CANCELLED',
    message: 'stopped by a signal',
    hint: `to remove the rest, run ${commandLine('workspaces remove', [name])}`,
  })

/** An error that ends a removal of which a part is done. */
function endedEarly(error: unknown, { name, integrations }: Workspace, removed: number): unknown {
  if (!(error instanceof IntegrationsError)) return error
  const { code, message, hint, committed } = error
  return new IntegrationsError({
    code,
    message: `${message}; ${removed} of ${integrations} integrations of ${name} are removed`,
    hint,
    cause: error,
    committed: committed === null ? null : true,
  })
}

/** The workspace of a name, which is added when there is none. @throws what `insertWorkspace` throws, AMBIGUOUS */
export async function ensureWorkspace(
  tx: Transaction,
  name: string,
): Promise<{ readonly workspace: Workspace; readonly added: boolean }> {
  const [found, another] = await tx.workspaces.match({ by: 'name', value: name }, 2)
  if (!found) return { workspace: await insertWorkspace(tx, name), added: true }
  return { workspace: another ? await findWorkspace(tx, name) : found, added: false }
}

/** Adds a workspace within a transaction. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
async function insertWorkspace(tx: Transaction, name: string): Promise<Workspace> {
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
  if (taken) throw alreadyExists('workspace', name, commandLine('workspaces show', [name]))
}

import type { IntegrationId } from '../../brands.ts'
import { conflict, notFound } from '../../errors.ts'
import { type IntegrationView, refOf } from '../../integration.ts'
import type { ConfigRevision, RevisedConfig, RevisionEvent } from '../../store/audit/config-revisions.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { ListReader } from '../../store/tables/page.ts'
import { type ChangeOptions, changeWithin, type DryRun, findToChange, targetOf } from '../change.ts'
import { findIntegration } from '../find.ts'
import { commandLine } from '../texts.ts'
import { type ChangedConfig, changeConfigWithin, loadConfigLibraries, storedConfig } from './config.ts'

/** A change of a config, and the event about it, where the log has it. */
export interface RecordedRevision extends ConfigRevision {
  readonly event: RevisionEvent | undefined
}

/** The changes that this program has made of the config of an integration. */
export function recordedRevisions(db: Reader, id: IntegrationId): ListReader<object, RecordedRevision> {
  const revisions = db.configRevisions.of(id)
  return {
    ...revisions,
    async *list(filter, page) {
      for await (const some of revisions.list(filter, page)) {
        const events = await db.configRevisions.events(
          id,
          some.map(({ version }) => version),
        )
        yield some.map((one) => ({ ...one, event: events.get(one.version) }))
      }
    },
  }
}

/**
 * What a change did to a config.
 *
 * @param version of the integration after the change; undefined: the last one
 * @throws NOT_FOUND, AMBIGUOUS
 */
export const findRevision = (store: Store, ref: string, version: number | undefined): Promise<RevisedConfig> =>
  store.read(async (db) => revisionOf(db, await findIntegration(db, ref), version))

async function revisionOf(db: Reader, integration: IntegrationView, version: number | undefined) {
  const { id } = integration
  const found = await db.configRevisions.find(id, version)
  if (found) return found
  throw version === undefined
    ? notFound(`no change of the config of ${refOf(integration)} is kept`, commandLine('config get', [id]))
    : notFound(
        `no change of the config of ${refOf(integration)} to version ${version} is kept`,
        commandLine('config history', [id]),
      )
}

/** Which change to take back. */
export interface RevertOptions extends ChangeOptions {
  readonly ref: string
  /** Of the integration after the change; undefined: the last one. */
  readonly version: number | undefined
}

/**
 * Puts the config back that was there before a change; what was changed after it goes, too.
 *
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT also when another program has changed the config since the last change, BAD_INPUT
 *   when the config of before breaks the platform's schema
 */
export async function revertConfig(store: Store, { ref, version, ...options }: RevertOptions): Promise<ChangedConfig> {
  await loadConfigLibraries()
  const found = await findToChange(store, ref)
  return store.mutate(
    (tx) =>
      changeWithin(tx, { ...options, ...found }, async (integration) => {
        const { id } = integration
        const revision = await revisionOf(tx, integration, version)
        if (version === undefined && (await tx.integrations.configText(id)) !== revision.after)
          throw conflict(
            `another program changed the config of ${refOf(integration)} after version ${revision.version}`,
            commandLine('config revert', [id, String(revision.version)]),
          )
        const before = await storedConfig(revision.before)
        return changeConfigWithin(tx, integration, () => before)
      }),
    options,
  )
}

/**
 * Deletes what is kept of former configs: of some integrations, or of all. The audit log keeps that this was done.
 *
 * @param refs `all`: those of every integration
 * @returns how many changes are forgotten
 * @throws NOT_FOUND, AMBIGUOUS
 */
export const purgeRevisions = (store: Store, refs: readonly string[] | 'all', options: DryRun): Promise<number> =>
  store.mutate(async (tx) => {
    const { configRevisions, settings } = tx
    if (refs === 'all') {
      const count = await configRevisions.purge()
      const target = { type: 'database', id: settings.id, name: null } as const
      if (count > 0) await tx.record({ action: 'config.purge', target, count })
      return count
    }
    let purged = 0
    for (const ref of refs) {
      const integration = await findIntegration(tx, ref)
      const count = await configRevisions.purge(integration.id)
      if (count > 0) await tx.record({ action: 'config.purge', target: targetOf(integration), count })
      purged += count
    }
    return purged
  }, options)

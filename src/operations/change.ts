import { IntegrationsError, shellWord } from '../errors.ts'
import type { Integration } from '../integration.ts'
import type { Changes, Store } from '../store/store.ts'
import { findIntegration } from './find.ts'

/** How a change is to be made. */
export interface ChangeOptions {
  /** Only if this is still the version. */
  readonly ifVersion?: number
  /** Do everything but the change itself. */
  readonly dryRun?: boolean
}

/** What a change did: the integration before and after it; the same when there was nothing to do. */
export interface Changed {
  readonly before: Integration
  readonly after: Integration
}

/**
 * Changes one integration: reads it inside the transaction, lets `work` change it, and raises its version if it did.
 *
 * @param work returns whether it changed anything
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT when the version is another, and whatever `work` throws
 */
export function changeIntegration(
  store: Store,
  ref: string,
  { ifVersion, dryRun }: ChangeOptions,
  work: (rows: Changes, integration: Integration, now: Date) => Promise<boolean>,
): Promise<Changed> {
  return store.mutate(
    async (rows) => {
      const now = new Date()
      const { id } = await findIntegration(rows, ref)
      // The head row keeps this program's own changes apart; the application's are kept out from here on.
      await rows.integrations.lock(id)
      const [before] = await rows.integrations.match({ id }, 1)
      if (!before) throw new IntegrationsError('NOT_FOUND', 'the integration was just removed', 'integrations list')
      if (ifVersion !== undefined && before.version !== ifVersion) throw movedOn(before, ifVersion)
      if (!(await work(rows, before, now))) return { before, after: before }
      if (!(await rows.integrations.raiseVersion(before.id, before.version, now))) throw movedOn(before, before.version)
      const [after] = await rows.integrations.match({ id: before.id }, 1)
      return { before, after: after ?? before }
    },
    { dryRun: dryRun ?? false },
  )
}

/** The integration changed since it was read: somebody has to look again. */
export const movedOn = (integration: Integration, expected: number): IntegrationsError =>
  new IntegrationsError(
    'CONFLICT',
    `${integration.workspace}/${integration.name} is at version ${integration.version}, not ${expected}`,
    `look at what changed with integrations show ${shellWord(integration.id)}, and try again`,
  )

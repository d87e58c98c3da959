import { columnOf, entriesOf, type IntegrationView, type PlatformColumn } from '../../integration.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { IntegrationChange } from '../../store/tables/integrations.ts'
import { type Changed, type ChangeOptions, changeIntegration, type Facts } from '../change.ts'
import { findApp } from '../directory/apps.ts'
import { findUser, type Ref } from '../find.ts'
import { checkId } from '../ids.ts'
import { checkName, nameTaken } from '../names.ts'

/** New values for fields that are not secret; null clears a field. */
export interface Update extends ChangeOptions {
  readonly name?: string | undefined
  /** A user's id or e-mail address. */
  readonly createdBy?: Ref | null | undefined
  /** The name or id of an OAuth app. */
  readonly app?: string | null | undefined
  readonly ids: { readonly [C in PlatformColumn]?: string | null }
  /** Accept ids that do not look like those of the platform. */
  readonly forceShape: boolean
}

/** Changes an integration's name, platform ids, creator or app. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, ALREADY_EXISTS, CONFLICT */
export function updateIntegration(store: Store, ref: string, update: Update): Promise<Changed> {
  if (update.name !== undefined) checkName('integration', update.name)
  return changeIntegration(store, { ...update, ref, damagedToo: true }, (tx, integration) =>
    updateWithin(tx, integration, update),
  )
}

/** Changes an integration within a transaction. @returns what to record; undefined when it has these values already */
export async function updateWithin(
  tx: Transaction,
  integration: IntegrationView,
  update: Pick<Update, 'name' | 'createdBy' | 'app' | 'ids' | 'forceShape'>,
): Promise<Facts | undefined> {
  const platform = findPlatform(integration.platform)
  for (const [column, id] of entriesOf(update.ids))
    if (id !== null) checkId(platform, column, { value: id, forceShape: update.forceShape })
  const { workspaceId, platform: platformId, id: except } = integration
  if (
    update.name !== undefined &&
    (await tx.integrations.named({ workspaceId, platform: platformId, name: update.name, except }, 1)).length > 0
  )
    throw nameTaken({ workspace: integration.workspace, title: platform?.title ?? platformId, name: update.name })
  const createdBy = update.createdBy ? (await findUser(tx, update.createdBy)).id : update.createdBy
  const app = typeof update.app === 'string' ? await findApp(tx, update.app, integration.platform) : update.app
  const wanted: IntegrationChange = {
    ...(update.name === undefined ? {} : { name: update.name }),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...update.ids,
  }
  const different = entriesOf(wanted).filter(([field, value]) => integration[field] !== value)
  const fields = different.map(([field]) => columnOf(field))
  if (different.length > 0) await tx.integrations.update(integration.id, Object.fromEntries(different))
  if (app !== undefined && (app?.name ?? null) !== integration.app) {
    await tx.apps.link(integration.id, app?.id ?? null)
    fields.push('app')
  }
  return fields.length === 0 ? undefined : { action: 'integration.update', fields }
}

import { columnOf, entriesOf, type IntegrationView, type Labels, type PlatformColumn } from '../../integration.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { IntegrationChange } from '../../store/tables/integrations.ts'
import { type Changed, type ChangeOptions, changeWithin, type Facts, findToChange } from '../change.ts'
import { findApp } from '../directory/apps.ts'
import { findUser, type Ref } from '../find.ts'
import { checkId } from '../ids.ts'
import { checkName, nameTaken } from '../names.ts'
import { changeLabels, checkLabels, type LabelChange, withLabels } from './labels.ts'

/** New values for fields that are not secret; null clears a field. */
export interface Update extends ChangeOptions {
  readonly name?: string | undefined
  /** A user's id or e-mail address. */
  readonly createdBy?: Ref | null | undefined
  /** The name or id of an OAuth app. */
  readonly app?: string | null | undefined
  readonly ids: { readonly [C in PlatformColumn]?: string | null }
  readonly labels?: LabelChange | undefined
  /** Accept ids that do not look like those of the platform. */
  readonly forceShape: boolean
}

/**
 * Changes an integration's name, platform ids, creator, app or labels.
 *
 * @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS, ALREADY_EXISTS, CONFLICT
 */
export async function updateIntegration(store: Store, ref: string, update: Update): Promise<ChangedWithLabels> {
  if (update.name !== undefined) checkName('integration', update.name)
  if (update.labels) checkLabels(update.labels)
  const found = await findToChange(store, ref, { damagedToo: true })
  return store.mutate(async (tx) => {
    const { was, before, after } = await changeWithin(tx, { ...found, ...update }, async (integration) => ({
      result: { was: await withLabels(tx, integration) },
      facts: await updateWithin(tx, integration, update),
    }))
    return { before: was, after: after === before ? was : await withLabels(tx, after) }
  }, update)
}

/** The same as a change, with labels. */
interface ChangedWithLabels extends Changed {
  readonly before: IntegrationView & Labels
  readonly after: IntegrationView & Labels
}

/** Changes an integration within a transaction. @returns what to record; undefined when it has these values already */
export async function updateWithin(
  tx: Transaction,
  integration: IntegrationView,
  update: Pick<Update, 'name' | 'createdBy' | 'app' | 'ids' | 'labels' | 'forceShape'>,
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
  if (update.labels) fields.push(...(await changeLabels(tx, integration.id, update.labels)))
  return fields.length === 0 ? undefined : { action: 'integration.update', fields }
}

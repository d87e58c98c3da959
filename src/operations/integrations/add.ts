import { type IntegrationId, newIntegrationId } from '../../brands.ts'
import {
  type Expiry,
  entriesOf,
  expiresAt,
  type IntegrationView,
  type PlatformColumn,
  secretColumns,
} from '../../integration.ts'
import type { JsonObject } from '../../json.ts'
import { platformById, platformOf } from '../../platforms/platforms.ts'
import type { FingerprintChanges } from '../../store/audit/fingerprints.ts'
import type { Store } from '../../store/store.ts'
import { targetOf } from '../change.ts'
import { type AskOptions, checkNewToken, nothingToCheck, usableIds } from '../check/token.ts'
import { checkConfig } from '../config/document.ts'
import { findApp } from '../directory/apps.ts'
import { insertWorkspace } from '../directory/workspaces.ts'
import { findUser, findWorkspace } from '../find.ts'
import { checkId } from '../ids.ts'
import { checkName, nameTaken } from '../names.ts'
import { checkShape, type NewSecrets, requireTokenFor } from '../secrets/values.ts'

/** An integration to add. */
export interface Addition {
  /** The id of the integration; default: a new id. */
  readonly id?: IntegrationId
  readonly platform: string
  readonly workspace:
    | { readonly kind: 'existing'; readonly ref: string }
    | { readonly kind: 'new'; readonly name: string }
  readonly name: string
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  readonly ids: { readonly [C in PlatformColumn]?: string }
  readonly config: JsonObject | null
  readonly createdBy?: string | undefined
  /** The name or id of an OAuth app. */
  readonly app?: string | undefined
  readonly setBy: string
  /** Accept secrets and ids that do not look like those of the platform. */
  readonly forceShape: boolean
  readonly dryRun: boolean
}

/**
 * Adds an integration with its secrets.
 *
 * @returns the integration, and warnings about its values
 * @throws BAD_INPUT, NOT_FOUND (workspace, user, app), ALREADY_EXISTS (platform and name in the workspace), NOT_PERMITTED
 */
export async function addIntegration(
  store: Store,
  addition: Addition,
): Promise<{ integration: IntegrationView; warnings: string[] }> {
  const { name, secrets, expiry } = addition
  const platform = platformById(addition.platform)
  checkName('integration', name)
  const warnings = entriesOf(secrets).flatMap(([field, { value }]) =>
    checkShape(platform, field, { value, forceShape: addition.forceShape }),
  )
  const ids = Object.fromEntries(
    entriesOf(addition.ids).map(([column, id]) => [
      column,
      checkId(platform, column, { value: id, forceShape: addition.forceShape }),
    ]),
  )
  requireTokenFor(expiry, secrets)
  if (addition.config) warnings.push(...(await checkConfig(platform, addition.config)))

  const integration = await store.mutate(
    async (tx) => {
      const { now } = tx
      const workspace =
        addition.workspace.kind === 'existing'
          ? await findWorkspace(tx, addition.workspace.ref)
          : await insertWorkspace(tx, addition.workspace.name)
      if (await tx.integrations.exists({ workspaceId: workspace.id, platform: platform.id, name }))
        throw nameTaken({ workspace: workspace.name, title: platform.title, name })
      const createdBy = addition.createdBy === undefined ? null : (await findUser(tx, addition.createdBy)).id
      const app = addition.app === undefined ? undefined : await findApp(tx, addition.app, platform.id)
      const id = addition.id ?? newIntegrationId()
      await tx.integrations.insert(
        id,
        {
          workspaceId: workspace.id,
          platform: platform.id,
          name,
          tokenExpiresAt: expiresAt(expiry),
          ...ids,
          isActive: true,
          config: addition.config,
          createdBy,
        },
        now,
      )
      const fingerprints: FingerprintChanges[number][] = []
      for (const [field, { value, origin }] of entriesOf(secrets)) {
        const print = await tx.secrets.replace(id, {
          field,
          old: null,
          value,
          origin,
          setBy: addition.setBy,
          expiry: field === 'accessToken' ? expiry : 'unknown',
          previousValidUntil: now,
        })
        fingerprints.push({ field: secretColumns[field], from: null, to: print ?? null })
      }
      if (app) await tx.apps.link(id, app.id)
      await tx.integrations.raiseVersion(id, 0, now)
      const [added] = await tx.integrations.match({ by: 'id', value: id }, 1)
      if (!added) throw new Error('the integration just added is not there')
      await tx.record({
        action: 'integration.add',
        target: targetOf(added),
        fields: fingerprints.map(({ field }) => field),
        fingerprints,
        versionBefore: 0,
        versionAfter: 1,
      })
      return added
    },
    { dryRun: addition.dryRun, withModels: true },
  )
  return { integration, warnings }
}

/**
 * Adds an integration once its platform has accepted the access token, and fills in missing ids from the answer.
 *
 * @throws what `addIntegration` throws, before the platform is asked; CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED
 *   when the platform does not accept the token, or it is another tenant's
 */
export async function addCheckedIntegration(
  store: Store,
  addition: Addition,
  asking: AskOptions,
): Promise<{ integration: IntegrationView; warnings: string[] }> {
  const { accessToken } = addition.secrets
  if (!accessToken) throw nothingToCheck()
  // Prepared first, so that every refusal of ours comes before the platform is asked.
  const { integration } = await addIntegration(store, { ...addition, dryRun: true })
  const platform = platformOf(integration)
  const token = { integration, token: accessToken.value, expiry: addition.expiry }
  const answer = await checkNewToken(store, token, asking)
  const ids = { ...usableIds(platform, answer.ids), ...addition.ids }
  const committed = await addIntegration(store, { ...addition, id: integration.id, ids, expiry: answer.expiry })
  return { ...committed, warnings: [...committed.warnings, ...answer.warnings] }
}

import { badInput, IntegrationsError } from '../../errors.ts'
import {
  type IntegrationConfig,
  type IntegrationView,
  type PlatformColumn,
  type SecretField,
  secretColumns,
} from '../../integration.ts'
import { platformById, platformOf } from '../../platforms/platforms.ts'
import type { Expiry } from '../../store/secrets/versions.ts'
import type { Store } from '../../store/store.ts'
import type { FingerprintChanges } from '../../store/tables/fingerprints.ts'
import { targetOf } from '../change.ts'
import { type Asking, checkNewToken, nothingToCheck, usableIds } from '../check/token.ts'
import { checkConfig } from '../config/document.ts'
import { findApp } from '../directory/apps.ts'
import { insertWorkspace } from '../directory/workspaces.ts'
import { findUser, findWorkspace } from '../find.ts'
import { checkId } from '../ids.ts'
import { checkName } from '../names.ts'
import { checkShape, type NewSecrets } from '../secrets/values.ts'

/** An integration to add. */
export interface Addition {
  /** Its id; a new one when absent. */
  readonly id?: string
  readonly platform: string
  /** The id or name of a workspace, or a new one to make with it. */
  readonly workspace: { readonly ref: string } | { readonly create: string }
  readonly name: string
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  readonly ids: { readonly [C in PlatformColumn]?: string }
  readonly config: IntegrationConfig | null
  readonly createdBy?: string
  /** The name or id of an OAuth app. */
  readonly app?: string
  readonly setBy: string
  /** Accept secrets of another shape than documented. */
  readonly force: boolean
  readonly dryRun: boolean
}

/**
 * Adds an integration with its secrets.
 *
 * @returns it, and what looks odd about what was given
 * @throws BAD_INPUT, NOT_FOUND (workspace, user, app), ALREADY_EXISTS (platform and name in the workspace), NOT_PERMITTED
 */
export async function addIntegration(
  store: Store,
  addition: Addition,
): Promise<{ integration: IntegrationView; warnings: string[] }> {
  const { name, secrets, expiry } = addition
  const platform = platformById(addition.platform)
  checkName('integration', name)
  const warnings = Object.entries(secrets).flatMap(([field, secret]) =>
    checkShape(platform, field as SecretField, secret.value, addition.force),
  )
  const ids = Object.fromEntries(
    Object.entries(addition.ids).map(([column, id]) => [
      column,
      checkId(platform, column as PlatformColumn, id, addition.force),
    ]),
  )
  if (expiry !== 'unknown' && !secrets.accessToken)
    throw badInput('an expiry was given without an access token', 'give the token too, as in --access-token-stdin')
  if (addition.config) warnings.push(...(await checkConfig(platform, addition.config)))

  const integration = await store.mutate(
    async (tx) => {
      const { now } = tx
      const workspace =
        'ref' in addition.workspace
          ? await findWorkspace(tx, addition.workspace.ref)
          : await insertWorkspace(tx, addition.workspace.create)
      if (await tx.integrations.exists({ workspaceId: workspace.id, platform: platform.id, name }))
        throw new IntegrationsError({
          code: 'ALREADY_EXISTS',
          message: `${workspace.name} has a ${platform.title} integration named ${JSON.stringify(name)} already`,
          hint: 'choose another --name, or change that one with integrations update',
        })
      const createdBy = addition.createdBy === undefined ? null : (await findUser(tx, addition.createdBy)).id
      const app = addition.app === undefined ? undefined : await findApp(tx, addition.app, platform.id)
      const id = addition.id ?? crypto.randomUUID()
      const tokenExpiresAt = expiry === 'never' || expiry === 'unknown' ? null : expiry
      await tx.integrations.insert(
        id,
        {
          workspaceId: workspace.id,
          platform: platform.id,
          name,
          tokenExpiresAt,
          ...ids,
          isActive: true,
          config: addition.config,
          createdBy,
        },
        now,
      )
      const fingerprints: FingerprintChanges[number][] = []
      for (const [field, { value, origin }] of Object.entries(secrets) as [
        SecretField,
        NonNullable<NewSecrets[SecretField]>,
      ][]) {
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
      const [added] = await tx.integrations.match({ id }, 1)
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
    { dryRun: addition.dryRun },
  )
  return { integration, warnings }
}

/**
 * Adds an integration whose access token its platform knows, with the ids that the platform tells where none were given.
 *
 * @throws what `addIntegration` throws, before the platform is asked; CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED
 *   when the platform does not know the token, or knows it as another tenant's
 */
export async function addCheckedIntegration(
  store: Store,
  addition: Addition,
  asking: Asking,
): Promise<{ integration: IntegrationView; warnings: string[] }> {
  const { accessToken } = addition.secrets
  if (!accessToken) throw nothingToCheck()
  const { integration } = await addIntegration(store, { ...addition, dryRun: true })
  const platform = platformOf(integration)
  const told = await checkNewToken(
    store,
    targetOf(integration),
    { platform, integration, token: accessToken.value, expiry: addition.expiry },
    asking,
  )
  const ids = { ...usableIds(platform, told.ids), ...addition.ids }
  const added = await addIntegration(store, { ...addition, id: integration.id, ids, expiry: told.expiry })
  return { ...added, warnings: [...added.warnings, ...told.warnings] }
}

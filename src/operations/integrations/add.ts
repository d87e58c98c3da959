import { type IntegrationId, newIntegrationId } from '../../brands.ts'
import { conflict } from '../../errors.ts'
import {
  type Expiry,
  entriesOf,
  expiresAt,
  type IntegrationView,
  type Labels,
  type PlatformColumn,
  refOf,
  type SecretField,
  secretColumns,
  type Workspace,
} from '../../integration.ts'
import type { JsonObject } from '../../json.ts'
import { platformById, platformOf } from '../../platforms/platforms.ts'
import type { FingerprintChanges } from '../../store/audit/fingerprints.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { changeWithin, targetOf } from '../change.ts'
import {
  type AskOptions,
  type CheckedToken,
  checkNewToken,
  keepVerdict,
  nothingToCheck,
  usableIds,
} from '../check/token.ts'
import { changeConfigWithin, loadConfigLibraries } from '../config/config.ts'
import { checkConfig } from '../config/document.ts'
import { findApp } from '../directory/apps.ts'
import { ensureWorkspace } from '../directory/workspaces.ts'
import { ambiguous, candidatesShown, findUser, findWorkspace, type Ref, workspaceById } from '../find.ts'
import { checkId } from '../ids.ts'
import { checkName, nameTaken } from '../names.ts'
import { ofRotation, rotateWithin } from '../secrets/rotate.ts'
import { checkShape, type NewSecrets, requireTokenFor } from '../secrets/values.ts'
import { changeLabels, checkLabels, type LabelChange, withLabels } from './labels.ts'
import { updateWithin } from './update.ts'

/** An integration to add. */
export interface Addition {
  /** The id of the integration; default: a new id. */
  readonly id?: IntegrationId
  readonly platform: string
  readonly workspace:
    | { readonly kind: 'existing'; readonly ref: string }
    /** An application names its own: another workspace may have the id as its name. */
    | { readonly kind: 'id'; readonly id: string }
    | { readonly kind: 'new'; readonly name: string }
  readonly name: string
  readonly secrets: NewSecrets
  readonly expiry: Expiry
  /** As a rotation has it. */
  readonly expiresFromNow?: boolean
  readonly ids: { readonly [C in PlatformColumn]?: string }
  readonly config: JsonObject | null
  readonly createdBy?: Ref | undefined
  /** The name or id of an OAuth app. */
  readonly app?: string | undefined
  /** Given, they are told of the integration, too. */
  readonly labels?: LabelChange | undefined
  readonly setBy: string
  /** What to do when the workspace has an integration of this platform and name, which is an error by default: `update` gives it what is given here. */
  readonly ifExists?: 'keep' | 'update' | undefined
  /** For `update`: the version that the integration has to have. */
  readonly ifVersion?: number | undefined
  /** For `update`: how long replaced secrets stay valid, as a rotation has it. */
  readonly gracePeriod?: number | undefined
  /** For `update`: expire previous values that are still valid. */
  readonly endPrevious?: boolean | undefined
  /** Accept secrets and ids that do not look like those of the platform. */
  readonly forceShape: boolean
  readonly dryRun: boolean
  /** The access token, and what the platform has said of it. */
  readonly checked?: CheckedToken | undefined
}

/** What came of an addition. */
export interface Added {
  readonly integration: IntegrationView & Partial<Labels>
  /** `updated` and `unchanged`: it was there before. */
  readonly outcome: 'added' | 'updated' | 'unchanged'
  /** One that was there, as it was. */
  readonly before?: IntegrationView & Partial<Labels>
  /** The secrets that were replaced in it. */
  readonly fields?: readonly SecretField[]
  /** Warnings about its values. */
  readonly warnings: readonly string[]
}

/**
 * Adds an integration with its secrets.
 *
 * @throws BAD_INPUT, NOT_FOUND (workspace, user, app), AMBIGUOUS (workspace, and with `ifExists` the name), ALREADY_EXISTS (platform and name in the
 *   workspace), NOT_PERMITTED; for one that is updated, what a rotation throws
 */
export async function addIntegration(store: Store, addition: Addition): Promise<Added> {
  const { name, secrets, expiry, forceShape } = addition
  const platform = platformById(addition.platform)
  checkName('integration', name)
  const shapes = entriesOf(secrets).flatMap(([field, { value }]) => checkShape(platform, field, { value, forceShape }))
  const ids = Object.fromEntries(
    entriesOf(addition.ids).map(([column, id]) => [column, checkId(platform, column, { value: id, forceShape })]),
  )
  if (addition.labels) checkLabels(addition.labels)
  requireTokenFor(expiry, secrets.accessToken !== undefined)
  if (addition.config) shapes.push(...(await checkConfig(platform, addition.config)))
  if (addition.ifExists === 'update') await loadConfigLibraries()
  return store.mutate(
    async (tx) => {
      const added = await addWithin(tx, { ...addition, ids }, shapes)
      if (addition.checked) await keepVerdict(tx, [added.integration], addition.checked)
      return added
    },
    { dryRun: addition.dryRun },
  )
}

async function addWithin(tx: Transaction, addition: Addition, warnings: readonly string[]): Promise<Added> {
  const { name } = addition
  const platform = platformById(addition.platform)
  const workspace = await workspaceFor(tx, addition.workspace)
  const named = { workspaceId: workspace.id, platform: platform.id, name }
  const [existing, ...others] = await tx.integrations.named(named, candidatesShown + 1)
  if (existing === undefined && addition.ifVersion !== undefined)
    throw conflict(`${workspace.name}/${name} was just removed`, 'add it again')
  if (existing === undefined) {
    const added = await insert(tx, workspace.id, addition)
    return { integration: await told(tx, added, addition), outcome: 'added', warnings }
  }
  if (!addition.ifExists)
    throw nameTaken({
      workspace: workspace.name,
      title: platform.title,
      name,
      hint: 'choose another --name, or pass --upsert to update the integration, or --if-missing to leave it as it is',
    })
  if (others.length > 0)
    throw ambiguous(
      'integration',
      `${refOf({ workspace: workspace.name, name })}@${platform.id}`,
      [existing, ...others].map((id) => ({
        ref: id,
        facts: { id, name, workspace: workspace.name, platform: platform.id },
      })),
    )
  return addition.ifExists === 'keep' ? keep(tx, existing, addition) : updateExisting(tx, existing, addition)
}

async function workspaceFor(tx: Transaction, given: Addition['workspace']): Promise<Workspace> {
  switch (given.kind) {
    case 'existing':
      return findWorkspace(tx, given.ref)
    case 'id':
      return workspaceById(tx, given.id)
    case 'new':
      return (await ensureWorkspace(tx, given.name)).workspace
  }
}

/** An integration as an answer has it. */
const told = (
  tx: Transaction,
  integration: IntegrationView,
  { labels }: Addition,
): Promise<IntegrationView & Partial<Labels>> => (labels ? withLabels(tx, integration) : Promise.resolve(integration))

async function insert(tx: Transaction, workspaceId: string, addition: Addition): Promise<IntegrationView> {
  const { platform, name, secrets, expiry, setBy } = addition
  const createdBy = addition.createdBy === undefined ? null : (await findUser(tx, addition.createdBy)).id
  const app = addition.app === undefined ? undefined : await findApp(tx, addition.app, platform)
  const id = addition.id ?? newIntegrationId()
  await tx.integrations.insert(
    id,
    {
      workspaceId,
      platform,
      name,
      tokenExpiresAt: expiresAt(expiry),
      ...addition.ids,
      isActive: true,
      config: addition.config,
      createdBy,
    },
    tx.now,
  )
  const fingerprints: FingerprintChanges[number][] = []
  for (const [field, { value, origin }] of entriesOf(secrets)) {
    const print = await tx.secrets.replace(id, {
      field,
      old: null,
      value,
      origin,
      setBy,
      expiry: field === 'accessToken' ? expiry : 'unknown',
      previousValidUntil: tx.now,
    })
    fingerprints.push({ field: secretColumns[field], from: null, to: print ?? null })
  }
  if (app) await tx.apps.link(id, app.id)
  const labels = await changeLabels(tx, id, addition.labels ?? {})
  await tx.integrations.raiseVersion(id, 0, tx.now)
  const [added] = await tx.integrations.match({ by: 'id', value: id }, 1)
  if (!added) throw new Error('the integration just added is not there')
  await tx.record({
    action: 'integration.add',
    target: targetOf(added),
    fields: [...fingerprints.map(({ field }) => field), ...labels],
    fingerprints,
    versionBefore: 0,
    versionAfter: 1,
  })
  return added
}

async function keep(tx: Transaction, id: IntegrationId, addition: Addition): Promise<Added> {
  const [integration] = await tx.integrations.match({ by: 'id', value: id }, 1)
  if (!integration) throw new Error('the integration that has the name is not there')
  return { integration: await told(tx, integration, addition), outcome: 'unchanged', warnings: [] }
}

/** Gives an integration that is there what was given for it; what was not given stays. */
async function updateExisting(tx: Transaction, id: IntegrationId, addition: Addition): Promise<Added> {
  const { config, secrets, gracePeriod, endPrevious = false, ifVersion } = addition
  const { before, ...updated } = await changeWithin(tx, { id, ifVersion }, async (integration) => ({
    result: { was: await told(tx, integration, addition) },
    facts: await updateWithin(tx, integration, { ...addition, name: undefined }),
  }))
  let { after } = updated
  const warnings: string[] = []
  let fields: readonly SecretField[] = []
  if (config) {
    const changed = await changeWithin(tx, { id }, (integration) => changeConfigWithin(tx, integration, () => config))
    warnings.push(...changed.warnings)
    after = changed.after
  }
  if (Object.keys(secrets).length > 0) {
    const rotation = { ...addition, typed: id, shared: false, endPrevious, gracePeriod }
    const changed = await changeWithin(tx, { id }, (integration) =>
      rotateWithin(tx, { integration, ...ofRotation(rotation, tx.now) }),
    )
    warnings.push(...changed.warnings)
    fields = changed.fields
    after = changed.after
  }
  return {
    integration: await told(tx, after, addition),
    outcome: after.version === before.version ? 'unchanged' : 'updated',
    before: updated.was,
    fields,
    warnings,
  }
}

/**
 * Adds an integration once its platform has accepted the access token, and fills in missing ids from the answer.
 *
 * @throws what `addIntegration` throws, before the platform is asked; CREDENTIAL_REFUSED, PLATFORM_FAILED, CHECK_FAILED
 *   when the platform does not accept the token, or it is another tenant's; CONFLICT when the integration changed meanwhile
 */
export async function addCheckedIntegration(store: Store, addition: Addition, asking: AskOptions): Promise<Added> {
  const { accessToken } = addition.secrets
  if (!accessToken) throw nothingToCheck()
  // Prepared first, so that every refusal of ours comes before the platform is asked.
  const planned = await addIntegration(store, { ...addition, dryRun: true })
  if (planned.outcome === 'unchanged') return planned
  const { integration, before } = planned
  const platform = platformOf(integration)
  const token = { integration, token: accessToken.value, expiry: addition.expiry }
  const { answer, expiry, warnings } = await checkNewToken(store, token, asking)
  const missing = Object.entries(usableIds(platform, answer.ids)).filter(
    ([column]) => integration[column as PlatformColumn] === null,
  )
  const committed = await addIntegration(store, {
    ...addition,
    ...(before ? { ifVersion: before.version } : { id: integration.id }),
    // What was planned as new is not updated.
    ifExists: !before && addition.ifExists === 'update' ? undefined : addition.ifExists,
    ids: { ...Object.fromEntries(missing), ...addition.ids },
    expiry,
    checked: { answer, token: accessToken.value },
  })
  return { ...committed, warnings: [...committed.warnings, ...warnings] }
}

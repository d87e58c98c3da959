import { instantOf } from '../../brands.ts'
import { refuseDamage } from '../../damage.ts'
import { badInput, conflict } from '../../errors.ts'
import type { App } from '../../integration.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platformById } from '../../platforms/platforms.ts'
import type { Secret } from '../../secret.ts'
import type { Reader, Store } from '../../store/store.ts'
import { clientSecretColumn } from '../../store/tables/apps.ts'
import type { DryRun } from '../change.ts'
import { ambiguous, mayBeginId, noSuch, type Ref, refText } from '../find.ts'
import { alreadyExists, checkName, unprintable } from '../names.ts'
import { checkClientSecret } from '../secrets/values.ts'
import { commandLine } from '../texts.ts'

/** An OAuth app to add. */
export interface NewApp {
  readonly platform: string
  readonly name: string
  readonly clientId: string
  readonly secret: Secret
  /** Accept a client secret that does not look like one. */
  readonly forceShape: boolean
}

/** Checks the fields of an app to add, without its secret. @returns its platform @throws BAD_INPUT */
export function checkApp({ platform: id, name, clientId }: Pick<NewApp, 'platform' | 'name' | 'clientId'>): Platform {
  const platform = platformById(id)
  if (!('refresh' in platform.api))
    throw badInput(
      `${platform.title} does not issue refresh tokens, so an app is not needed`,
      'integrations apps add --help',
    )
  checkName('app', name)
  // HTTP's basic authentication separates the client id from the secret by a colon.
  if (!/^[^\s:]{1,200}$/.test(clientId) || unprintable.test(clientId) || !clientId.isWellFormed())
    throw badInput('the client id is not valid', 'copy the client id from the page of the app at the platform')
  return platform
}

/** Refuses a name that `addApp` would refuse, before anybody is asked for the rest. @throws BAD_INPUT, ALREADY_EXISTS, and what the store throws */
export function prepareApp(store: Store, { name }: Pick<NewApp, 'name'>): Promise<void> {
  checkName('app', name)
  return store.mutate((tx) => requireFreeName(tx, name), { dryRun: true })
}

async function requireFreeName(tx: Reader, name: string): Promise<void> {
  const [taken] = await tx.apps.list({ name })
  if (taken) throw alreadyExists('app', name, `choose another name, or ${commandLine('apps remove', [name])}`)
}

/** Adds an OAuth app, and encrypts its secret. @returns the app, and warnings about its secret @throws BAD_INPUT, ALREADY_EXISTS */
export async function addApp(
  store: Store,
  { secret, forceShape, ...given }: NewApp,
  options: DryRun,
): Promise<{ app: App; warnings: string[] }> {
  const warnings = checkClientSecret(checkApp(given), { value: secret, forceShape })
  const { platform, name, clientId } = given
  const app = await store.mutate(
    async (tx) => {
      await requireFreeName(tx, name)
      const id = crypto.randomUUID()
      const to = await tx.apps.insert({ id, platform, name, clientId }, secret)
      await tx.record({
        action: 'app.add',
        target: { type: 'app', id, name },
        fields: [clientSecretColumn],
        fingerprints: [{ field: clientSecretColumn, from: null, to }],
      })
      return {
        id,
        platform,
        name,
        clientId,
        keyId: tx.keyring.encryptionKey.id,
        createdAt: instantOf(tx.now),
        integrations: 0,
      }
    },
    { ...options, withModels: true },
  )
  return { app, warnings }
}

/** Removes an OAuth app and its secret. @throws NOT_FOUND, CONFLICT while an integration uses it */
export const removeApp = (store: Store, ref: Ref, options: DryRun): Promise<App> =>
  store.mutate(async (tx) => {
    const app = await findApp(tx, ref)
    if (app.integrations > 0)
      throw conflict(
        `the app ${app.name} is in use by integrations: ${app.integrations}`,
        'integrations list --fields name,app shows them; change each with integrations update <ref> --app <name>, or --unset app',
      )
    const recorded = await tx.audit.fingerprints([app.id])
    await tx.apps.remove(app.id)
    await tx.record({
      action: 'app.remove',
      target: { type: 'app', id: app.id, name: app.name },
      fields: [clientSecretColumn],
      fingerprints: [
        { field: clientSecretColumn, from: recorded.get(app.id)?.get(clientSecretColumn) ?? null, to: null },
      ],
    })
    return app
  }, options)

/**
 * The app with this id or name, else with an id that begins so.
 *
 * @param platform the platform that the app has to belong to
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT when the app belongs to another platform
 */
export async function findApp(db: Reader, given: Ref, platform?: string): Promise<App> {
  const ref = refText(given)
  const apps = await db.apps.list()
  const isText = typeof given === 'string'
  const named = apps.find(({ id }) => id === ref) ?? (isText ? apps.find(({ name }) => name === ref) : undefined)
  const beginning = named || !isText || !mayBeginId(ref) ? [] : apps.filter(({ id }) => id.startsWith(ref))
  const [app = named, ...others] = beginning
  if (!app) throw noSuch('app', ref)
  if (others.length > 0)
    throw ambiguous(
      'app',
      ref,
      beginning.map(({ id, name }) => ({ ref: id, about: name, facts: { id, name } })),
    )
  refuseDamage(app)
  if (platform !== undefined && app.platform !== platform)
    throw badInput(
      `the app ${app.name} belongs to ${app.platform}, but the integration to ${platform}`,
      'integrations apps list',
    )
  return app
}

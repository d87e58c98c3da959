/** The store for applications that let their users install integrations: adds, replaces, pauses and removes them. @module */
import { serialize } from '../concurrency.ts'
import { badInput, type IntegrationsError, is } from '../errors.ts'
import { type IntegrationView, type SecretField, secretFields } from '../integration.ts'
import type { Keys } from '../library/key-source.ts'
import { noSuch } from '../operations/find.ts'
import { type Addition, addIntegration } from '../operations/integrations/add.ts'
import { removeIntegration } from '../operations/integrations/remove.ts'
import { setActive } from '../operations/integrations/set-active.ts'
import { rotateSecrets } from '../operations/secrets/rotate.ts'
import { allRows } from '../store/all-rows.ts'
import type { Reader, Store } from '../store/store.ts'
import { connectionTo } from './connection.ts'
import {
  configOf,
  declaredBy,
  expiryOf,
  type Installation,
  idsOf,
  milliseconds,
  newSecrets,
  optionalText,
  type Secrets,
  type TokenExpiry,
  text,
} from './input.ts'
import { inOptions } from './told.ts'

export { IntegrationsError } from '../errors.ts'
export type { Integration, IntegrationConfig, NewIntegration } from '../library/data-model.ts'
export type { Keys as StoreKeys } from '../library/key-source.ts'
export type { IntegrationPlatform } from '../platforms/platforms.ts'
export type { Installation, IntegrationView, Secrets, TokenExpiry }

/** What a store works with. */
export interface StoreOptions {
  /** A URL, as in `postgresql://app@db.example.com/app` or `file:/srv/app/integrations.db`; a relative path is one of the working directory. */
  readonly database: string
  readonly keys: Keys
}

/** How a change is made. */
export interface ChangeOptions {
  /**
   * Which user of the application asks, for the audit log: an id or an address, 500 characters at most. The log has
   * `application:` before it, as the application alone vouches for it.
   */
  readonly actor?: string | undefined
}

/** How new secrets are taken. */
export interface SecretOptions extends ChangeOptions {
  /** Accept values that do not look like those of the platform; each is a warning then. */
  readonly forceShape?: boolean | undefined
}

/** How secrets are replaced. */
export interface RotateOptions extends SecretOptions {
  /** How long a replaced secret stays valid, in milliseconds: 7 days at most; 0: it expires at once. */
  readonly graceMs: number
  readonly tokenExpiresAt?: TokenExpiry
  /** Expire a previous webhook secret that is still accepted, which is refused otherwise. */
  readonly endPrevious?: boolean | undefined
}

/**
 * How an integration is added. When the workspace has one of this platform and name: an error without `ifExists`; `keep`
 * leaves it as it is; `update` gives it what is passed, in the same transaction, and what is left out stays.
 */
export type AddOptions = SecretOptions &
  (
    | { readonly ifExists?: 'keep' | undefined; readonly graceMs?: never; readonly endPrevious?: never }
    | ({ readonly ifExists: 'update' } & Pick<RotateOptions, 'graceMs' | 'endPrevious'>)
  )

/** What came of a change. */
export interface Change {
  /** `unchanged`: all of it was so already. */
  readonly outcome: 'changed' | 'unchanged'
  /** The integration as it is now. */
  readonly integration: IntegrationView
  /** Sentences about values that were accepted, for a log. */
  readonly warnings: readonly string[]
}

/** What came of an addition. */
export interface Added extends Omit<Change, 'outcome'> {
  readonly outcome: 'added' | Change['outcome']
}

/** What came of a rotation. */
export interface Rotated extends Change {
  /** The secrets that were replaced; one that was stored already is not among them. */
  readonly fields: readonly SecretField[]
}

/**
 * Changes the integrations of an application. Each change is one transaction with its event in the audit log, and encrypted
 * as the mode of the database asks. It cannot be part of a transaction of the application's own.
 *
 * Every method throws IntegrationsError, with a `code` and a `hint`, and besides what it names: BAD_INPUT for a wrong option
 * or a closed store, KEYS_MISSING, KEYS_INVALID, KEY_WRONG, NOT_PERMITTED, and DATABASE_… codes, of which UNREACHABLE and
 * BUSY may be over in a moment; COMMIT_UNKNOWN when the connection was lost at COMMIT.
 */
export interface IntegrationStore {
  /**
   * Adds an integration with its secrets.
   *
   * @throws NOT_FOUND (workspace, user, app), ALREADY_EXISTS, AMBIGUOUS when several have the platform and name; with
   *   `ifExists: 'update'`, what `rotate` throws
   * @example
   * await store.add({ workspaceId, platform: 'slack', name: team.id, slackTeamId: team.id, secrets: { accessToken, webhookSecret } },
   *   { ifExists: 'update', graceMs: 86_400_000, actor: user.id })
   */
  add(installation: Installation, options?: AddOptions): Promise<Added>
  /**
   * Replaces secrets. One that is stored already stays as it is, so that a call may be made again.
   *
   * @param id the id of the integration
   * @throws NOT_FOUND, GRACE_PERIOD_ACTIVE while the previous webhook secret is accepted, CONFLICT when the application wrote
   *   the secret meanwhile or the value is the previous one, DECRYPTION_FAILED, KEY_NOT_FOUND
   */
  rotate(id: string, secrets: Secrets, options: RotateOptions): Promise<Rotated>
  /** Has an integration receive webhooks again. @throws NOT_FOUND, CONFLICT */
  enable(id: string, options?: ChangeOptions): Promise<Change>
  /** Pauses an integration: its webhooks are answered and ignored, its tokens not given out. @throws NOT_FOUND, CONFLICT */
  disable(id: string, options?: ChangeOptions): Promise<Change>
  /**
   * Removes an integration with its secrets. The platform is not told: revoke the token there.
   *
   * @returns the integration as it was
   * @throws NOT_FOUND, LEASE_HELD while its tokens are being refreshed
   */
  remove(id: string, options?: ChangeOptions): Promise<IntegrationView>
  /** An integration with facts in place of secrets; undefined when there is none. Needs no keys. */
  find(id: string): Promise<IntegrationView | undefined>
  /** The integrations of a workspace, by name. Needs no keys. */
  list(workspaceId: string): Promise<readonly IntegrationView[]>
  /** Waits for the changes that are under way, and closes the connections. */
  close(): Promise<void>
}

/**
 * Opens a store: connects to the database, and tries its keys and the right to change it. While the database cannot be
 * reached, is busy or can only be read, the store is there nevertheless, and each call tries again.
 *
 * @throws IntegrationsError: DATABASE_MISSING, DATABASE_OUTDATED, DATABASE_TOO_NEW, DATABASE_INVALID, DATABASE_TAMPERED,
 *   NOT_PERMITTED, KEYS_MISSING, KEYS_INVALID, KEY_WRONG, BAD_INPUT
 * @example
 * const store = await createStore({
 *   database: process.env.DATABASE_URL,
 *   keys: { file: process.env.INTEGRATIONS_KEYS_FILE },
 * })
 */
export async function createStore(options: StoreOptions): Promise<IntegrationStore> {
  const connection = connectionTo(options)
  // A change that changes nothing needs all that others do.
  await connection
    .use((store) => store.mutate(async () => {}, { dryRun: true, auditOnly: true }))
    .catch(async (error: IntegrationsError) => {
      if (is(error, 'DATABASE_UNREACHABLE', 'DATABASE_BUSY', 'DATABASE_READ_ONLY')) return
      await connection.close()
      throw error
    })
  const change = <T>({ actor }: ChangeOptions, work: (store: Store, setBy: string) => Promise<T>) =>
    connection.use((store) => {
      const setBy = declaredBy(actor)
      // One after the other: the time of a change begins when its turn comes, and none is overtaken until its time is up.
      return serialize(store, () => work(store.as(setBy), setBy))
    })
  const changeOne = <T>(id: string, options: ChangeOptions, work: (store: Store, setBy: string) => Promise<T>) =>
    change(options, async (store, setBy) => {
      await store.readForChange((db) => requireIntegration(db, text('id', id)))
      return work(store, setBy)
    })
  const activate = (id: string, to: boolean, options: ChangeOptions) =>
    changeOne(id, options, async (store) => {
      const { before, after } = await setActive(store, { id }, { to })
      return changeOf(before, after, [])
    })
  return {
    add: (installation, options = {}) =>
      change(options, async (store, setBy) => {
        const addition = await additionOf(installation, options, setBy)
        const { outcome, integration, warnings } = await addIntegration(store, addition)
        return {
          outcome: outcome === 'updated' ? 'changed' : outcome,
          integration,
          warnings: warnings.map(inOptions),
        }
      }),
    rotate: (id, values, options) => {
      // JavaScript checks no types.
      const {
        graceMs,
        tokenExpiresAt,
        endPrevious = false,
        forceShape = false,
        actor,
      }: Partial<RotateOptions> = options ?? {}
      return changeOne(id, { actor }, async (store, setBy) => {
        const secrets = newSecrets(values)
        if (Object.keys(secrets).length === 0)
          throw badInput('no secret is given', `pass at least one of ${secretFields.join(', ')}`)
        const { changed, fields, warnings } = await rotateSecrets(
          store,
          { id },
          {
            typed: id,
            secrets,
            expiry: expiryOf(tokenExpiresAt),
            setBy,
            gracePeriod: milliseconds(graceMs),
            shared: false,
            forceShape,
            endPrevious,
          },
        )
        const [{ before, after }] = changed
        return { ...changeOf(before, after, warnings), fields }
      })
    },
    enable: (id, options = {}) => activate(id, true, options),
    disable: (id, options = {}) => activate(id, false, options),
    remove: (id, options = {}) =>
      changeOne(id, options, async (store) => (await removeIntegration(store, { id }, {})).integration),
    find: (id) => connection.use((store) => store.read((db) => integrationById(db, text('id', id)))),
    list: (workspaceId) =>
      connection.use((store) => {
        const filter = { workspaceId: text('workspaceId', workspaceId) }
        return store.snapshot((db) => allRows(db.integrations.list(filter, { sort: 'name', descending: false })))
      }),
    close: connection.close,
  }
}

const changeOf = (before: IntegrationView, after: IntegrationView, warnings: readonly string[]): Change => ({
  outcome: after.version === before.version ? 'unchanged' : 'changed',
  integration: after,
  warnings: warnings.map(inOptions),
})

async function additionOf(installation: Installation, options: AddOptions, setBy: string): Promise<Addition> {
  const { ifExists, graceMs, endPrevious, forceShape = false } = options
  const createdBy = optionalText('createdBy', installation.createdBy)
  if (ifExists !== undefined && ifExists !== 'keep' && ifExists !== 'update')
    throw badInput('ifExists is neither "keep" nor "update"', 'pass ifExists: "update", or leave it out')
  return {
    platform: text('platform', installation.platform),
    workspace: { kind: 'id', id: text('workspaceId', installation.workspaceId) },
    name: text('name', installation.name),
    secrets: newSecrets(installation.secrets),
    expiry: expiryOf(installation.tokenExpiresAt),
    ids: idsOf(installation),
    config: await configOf(installation.config),
    createdBy: createdBy === undefined ? undefined : { id: createdBy },
    app: optionalText('app', installation.app),
    setBy,
    ifExists,
    gracePeriod: ifExists === 'update' ? milliseconds(graceMs) : undefined,
    endPrevious,
    forceShape,
    dryRun: false,
  }
}

/** By its id alone: a name, or the beginning of an id, may come from a request, and be that of another tenant. */
async function integrationById(db: Reader, id: string): Promise<IntegrationView | undefined> {
  const [found] = await db.integrations.match({ by: 'id', value: id }, 1)
  return found
}

async function requireIntegration(db: Reader, id: string): Promise<void> {
  if (await integrationById(db, id)) return
  throw noSuch('integration', id).with({ hint: 'pass the id of an integration, as add returns it' })
}

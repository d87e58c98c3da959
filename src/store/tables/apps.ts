import sql, { empty } from 'sql-template-tag'
import type { Fingerprint, IntegrationId } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import type { App } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'

/** How the audit log names an app's secret, and the context that it is encrypted in. */
export const clientSecretColumn = 'client_secret'

/** An app's secret as it is stored. */
export interface StoredClientSecret {
  /** Of the app. */
  readonly id: string
  readonly name: string
  readonly sealed: string
  /** The key that encrypts it. */
  readonly keyId: string
}

const contextOf = (id: string) => ({ id, field: clientSecretColumn })

/** What can be read of OAuth apps; `stored` alone reads secrets. */
export interface AppReader {
  /** The apps in the order of their names; `name`: that one; `platform`: those of a platform. */
  list(filter?: { readonly name?: string; readonly platform?: string }): Promise<App[]>
  /** The secrets of all apps, still encrypted. */
  stored(): Promise<StoredClientSecret[]>
}

/** What can be changed of OAuth apps. */
export interface AppWriter {
  /** Inserts an app; its secret is encrypted, whatever the mode. @returns the fingerprint of the secret */
  insert(app: Pick<App, 'id' | 'platform' | 'name' | 'clientId'>, secret: Secret): Promise<Fingerprint>
  /** Decrypts the secret of an app. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
  secret(id: string): Promise<Secret>
  /** Encrypts a secret anew with the active key. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
  reencrypt(app: StoredClientSecret): Promise<void>
  remove(id: string): Promise<void>
  /** Has an integration name its app, or none. */
  link(integrationId: IntegrationId, id: string | null): Promise<void>
}

/** Reads OAuth apps. */
export function appReader(db: Statements, { binaryOrder, toRfc3339 }: Dialect): AppReader {
  return {
    async list({ name, platform } = {}) {
      const rows = await db.query<Omit<App, 'integrations'> & { integrations: bigint | number }>(
        sql`SELECT a.id, a.platform, a.name, a.client_id AS "clientId", a.key_id AS "keyId", ${toRfc3339(sql`a.created_at`)} AS "createdAt",
          (SELECT count(*) FROM integration_versions v WHERE v.app_id = a.id) AS integrations FROM integration_apps a WHERE 1 = 1
          ${name === undefined ? empty : sql`AND a.name = ${name}`} ${platform === undefined ? empty : sql`AND a.platform = ${platform}`}
          ORDER BY ${binaryOrder(sql`a.name`)}`,
      )
      return rows.map((row) => ({ ...row, integrations: Number(row.integrations) }))
    },
    stored: () =>
      db.query(
        sql`SELECT a.id, a.name, a.client_secret AS sealed, a.key_id AS "keyId" FROM integration_apps a ORDER BY ${binaryOrder(sql`a.id`)}`,
      ),
  }
}

/** Decrypts the secret of an app. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
export const openClientSecret = (keyring: Keyring, { id, sealed }: StoredClientSecret): Promise<Secret> =>
  decrypt(keyring.keys, contextOf(id), sealed)

/** Changes OAuth apps, within a transaction. */
export function appWriter(tx: WritableStatements, keyring: Keyring, now: Date): AppWriter {
  const { keys, encryptionKey, fingerprintKey } = keyring
  return {
    async insert(app, secret) {
      const clientSecret = await encrypt(encryptionKey, contextOf(app.id), secret)
      const data = { ...app, clientSecret, keyId: encryptionKey.id, createdAt: now }
      await tx.models.integrationApp.create({ data, select: { id: true } })
      return fingerprint(fingerprintKey, secret)
    },
    async secret(id) {
      const row = await tx.models.integrationApp.findUniqueOrThrow({ where: { id }, select: { clientSecret: true } })
      return decrypt(keys, contextOf(id), row.clientSecret)
    },
    async reencrypt(app) {
      const { id, sealed } = app
      const clientSecret = await encrypt(encryptionKey, contextOf(id), await openClientSecret(keyring, app))
      const data = { clientSecret, keyId: encryptionKey.id }
      await tx.models.integrationApp.updateMany({ where: { id, clientSecret: sealed }, data })
    },
    async remove(id) {
      await tx.models.integrationApp.deleteMany({ where: { id } })
    },
    async link(integrationId, id) {
      await tx.models.integrationVersion.upsert({
        where: { integrationId },
        create: { integrationId, version: 0, updatedAt: now, appId: id },
        update: { appId: id },
        select: { version: true },
      })
    },
  }
}

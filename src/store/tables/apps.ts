import sql, { empty } from 'sql-template-tag'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import type { App, Instant } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'

/** How the audit log names an app's secret, and the cell that it is sealed in. */
export const clientSecretColumn = 'client_secret'

/** An app's secret as it is stored. */
export interface StoredClientSecret {
  /** Of the app. */
  readonly id: string
  readonly name: string
  readonly sealed: string
  /** The key that seals it. */
  readonly keyId: string
}

const cell = (id: string) => ({ id, field: clientSecretColumn })

/** The queries about OAuth apps; none but `stored` reads a secret. */
export function appRows(db: Statements, dialect: Dialect) {
  const { binaryOrder, toRfc3339 } = dialect
  return {
    /** The apps in the order of their names; `name`: that one; `platform`: those of a platform. */
    async list({ name, platform }: { readonly name?: string; readonly platform?: string } = {}): Promise<App[]> {
      const rows = await db.query<Omit<App, 'integrations'> & { integrations: bigint | number; createdAt: Instant }>(
        sql`SELECT a.id, a.platform, a.name, a.client_id AS "clientId", a.key_id AS "keyId", ${toRfc3339(sql`a.created_at`)} AS "createdAt",
          (SELECT count(*) FROM integration_versions v WHERE v.app_id = a.id) AS integrations FROM integration_apps a WHERE 1 = 1
          ${name === undefined ? empty : sql`AND a.name = ${name}`} ${platform === undefined ? empty : sql`AND a.platform = ${platform}`}
          ORDER BY ${binaryOrder(sql`a.name`)}`,
      )
      return rows.map((row) => ({ ...row, integrations: Number(row.integrations) }))
    },

    /** The secrets of all apps, unopened. */
    stored: (): Promise<StoredClientSecret[]> =>
      db.query(
        sql`SELECT a.id, a.name, a.client_secret AS sealed, a.key_id AS "keyId" FROM integration_apps a ORDER BY ${binaryOrder(sql`a.id`)}`,
      ),
  }
}

/** Opens the secret of an app. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
export const openClientSecret = (vault: Keyring, { id, sealed }: StoredClientSecret): Promise<Secret> =>
  decrypt(vault.keys, cell(id), sealed)

/** What changes OAuth apps, within a transaction. */
export function appChanges(tx: WritableStatements, vault: Keyring, now: Date) {
  return {
    /** Inserts an app; its secret is sealed, whatever the mode. @returns the fingerprint of the secret */
    async insert(app: Pick<App, 'id' | 'platform' | 'name' | 'clientId'>, secret: Secret): Promise<string> {
      await tx.models.integrationApp.create({
        data: {
          ...app,
          clientSecret: await encrypt(vault.encryptionKey, cell(app.id), secret),
          keyId: vault.encryptionKey.id,
          createdAt: now,
        },
        select: { id: true },
      })
      return fingerprint(vault.fingerprintKey, secret)
    },

    /** Opens the secret of an app. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
    async secret(id: string): Promise<Secret> {
      const row = await tx.models.integrationApp.findUniqueOrThrow({ where: { id }, select: { clientSecret: true } })
      return decrypt(vault.keys, cell(id), row.clientSecret)
    },

    /** Seals a secret anew with the active key. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
    async reseal(app: StoredClientSecret): Promise<void> {
      const { id, sealed } = app
      const clientSecret = await encrypt(vault.encryptionKey, cell(id), await openClientSecret(vault, app))
      await tx.models.integrationApp.updateMany({
        where: { id, clientSecret: sealed },
        data: { clientSecret, keyId: vault.encryptionKey.id },
      })
    },

    /** Deletes an app. */
    async remove(id: string): Promise<void> {
      await tx.models.integrationApp.deleteMany({ where: { id } })
    },

    /** Has an integration name its app, or none. */
    async link(integrationId: string, id: string | null): Promise<void> {
      await tx.models.integrationVersion.upsert({
        where: { integrationId },
        create: { integrationId, version: 0, updatedAt: now, appId: id },
        update: { appId: id },
        select: { version: true },
      })
    },
  }
}

import sql, { empty } from 'sql-template-tag'
import { fingerprint } from '../../crypto/hmac.ts'
import { open, seal } from '../../crypto/jwe.ts'
import type { Vault } from '../../crypto/keyring.ts'
import type { App, Instant } from '../../integration.ts'
import type { Secret } from '../../secret.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, Transaction } from '../database/statements.ts'

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
  const { bytes, instant } = dialect
  return {
    /** The apps in the order of their names; `name`: that one; `platform`: those of a platform. */
    async list({ name, platform }: { readonly name?: string; readonly platform?: string } = {}): Promise<App[]> {
      const rows = await db.query<Omit<App, 'integrations'> & { integrations: bigint | number; createdAt: Instant }>(
        sql`SELECT a.id, a.platform, a.name, a.client_id AS "clientId", a.key_id AS "keyId", ${instant(sql`a.created_at`)} AS "createdAt",
          (SELECT count(*) FROM integration_versions v WHERE v.app_id = a.id) AS integrations FROM integration_apps a WHERE 1 = 1
          ${name === undefined ? empty : sql`AND a.name = ${name}`} ${platform === undefined ? empty : sql`AND a.platform = ${platform}`}
          ORDER BY ${bytes(sql`a.name`)}`,
      )
      return rows.map((row) => ({ ...row, integrations: Number(row.integrations) }))
    },

    /** The secrets of all apps, unopened. */
    stored: (): Promise<StoredClientSecret[]> =>
      db.query(
        sql`SELECT a.id, a.name, a.client_secret AS sealed, a.key_id AS "keyId" FROM integration_apps a ORDER BY ${bytes(sql`a.id`)}`,
      ),
  }
}

/** Opens the secret of an app. @throws SEAL_BROKEN, KEY_UNKNOWN */
export const openClientSecret = (vault: Vault, { id, sealed }: StoredClientSecret): Promise<Secret> =>
  open(vault.keys, cell(id), sealed)

/** What changes OAuth apps, within a transaction. */
export function appChanges(tx: Transaction, vault: Vault, now: Date) {
  return {
    /** Inserts an app; its secret is sealed, whatever the mode. @returns the fingerprint of the secret */
    async insert(app: Pick<App, 'id' | 'platform' | 'name' | 'clientId'>, secret: Secret): Promise<string> {
      await tx.models.integrationApp.create({
        data: {
          ...app,
          clientSecret: await seal(vault.sealing, cell(app.id), secret),
          keyId: vault.sealing.id,
          createdAt: now,
        },
        select: { id: true },
      })
      return fingerprint(vault.fingerprinting, secret)
    },

    /** Opens the secret of an app. @throws SEAL_BROKEN, KEY_UNKNOWN */
    async secret(id: string): Promise<Secret> {
      const row = await tx.models.integrationApp.findUniqueOrThrow({ where: { id }, select: { clientSecret: true } })
      return open(vault.keys, cell(id), row.clientSecret)
    },

    /** Seals a secret anew with the active key. @throws SEAL_BROKEN, KEY_UNKNOWN */
    async reseal(app: StoredClientSecret): Promise<void> {
      const { id, sealed } = app
      const clientSecret = await seal(vault.sealing, cell(id), await openClientSecret(vault, app))
      await tx.models.integrationApp.updateMany({
        where: { id, clientSecret: sealed },
        data: { clientSecret, keyId: vault.sealing.id },
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

import sql, { empty } from 'sql-template-tag'
import type { Fingerprint, IntegrationId } from '../../brands.ts'
import { fingerprint } from '../../crypto/hmac.ts'
import { decrypt, encrypt } from '../../crypto/jwe.ts'
import type { Keyring } from '../../crypto/keyring.ts'
import { type Damageable, damageText } from '../../damage.ts'
import { decryptionFailed, notFound } from '../../errors.ts'
import type { App } from '../../integration.ts'

import type { Secret } from '../../secret.ts'
import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Columns, Statements, WritableStatements } from '../database/statements.ts'
import { idLength } from './id-length.ts'

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

const storedColumns: Columns<StoredClientSecret> = {
  id: sql`a.id`,
  name: sql`a.name`,
  sealed: sql`a.client_secret`,
  keyId: sql`a.key_id`,
}

const contextOf = (id: string) => ({ id, field: clientSecretColumn })

/** What can be read of OAuth apps; `stored` alone reads secrets. */
export interface AppReader {
  /** The apps in the order of their names; `name`: that one; `platform`: those of a platform. */
  list(filter?: { readonly name?: string; readonly platform?: string }): Promise<App[]>
  /** How many characters of an id name each of some apps alone. */
  idLength(ids: readonly string[]): Promise<number>
  /** The secrets of all apps, still encrypted. */
  stored(): Promise<(StoredClientSecret & Damageable)[]>
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
export function appReader(db: Statements, dialect: Dialect): AppReader {
  const { binaryOrder, toRfc3339 } = dialect
  return {
    async list({ name, platform } = {}) {
      const rows = await db.queryInPages<Omit<App, 'integrations'> & { integrations: bigint | number }>(
        {
          id: sql`a.id`,
          platform: sql`a.platform`,
          name: sql`a.name`,
          clientId: sql`a.client_id`,
          keyId: sql`a.key_id`,
          createdAt: toRfc3339(sql`a.created_at`),
          integrations: sql`(SELECT count(*) FROM integration_versions v WHERE v.app_id = a.id)`,
        },
        sql`FROM integration_apps a WHERE 1 = 1
          ${name === undefined ? empty : sql`AND a.name = ${name}`} ${platform === undefined ? empty : sql`AND a.platform = ${platform}`}
          ORDER BY ${binaryOrder(sql`a.name`)}, ${binaryOrder(sql`a.id`)}`,
      )
      return rows.map((row) => ({ ...row, integrations: Number(row.integrations) }))
    },
    idLength: (ids) => idLength(db, dialect, { table: 'integration_apps', ids }),
    stored: () => db.queryInPages(storedColumns, sql`FROM integration_apps a ORDER BY ${binaryOrder(sql`a.id`)}`),
  }
}

/** Decrypts the secret of an app. @throws DECRYPTION_FAILED, KEY_NOT_FOUND */
export function openClientSecret(keyring: Keyring, { id, sealed, damage }: StoredClientSecret & Damageable): Secret {
  if (damage)
    throw decryptionFailed(damageText(id, damage), 'find out who wrote it; then remove the app, and add it again')
  return decrypt(keyring.keys, contextOf(id), sealed)
}

/** Changes OAuth apps, within a transaction. */
export function appWriter(
  tx: WritableStatements,
  { keyring, now, written }: { readonly keyring: Keyring; readonly now: Date; readonly written: WrittenColumns },
): AppWriter {
  const { encryptionKey, fingerprintKey } = keyring
  return {
    async insert(app, secret) {
      const clientSecret = encrypt(encryptionKey, contextOf(app.id), secret)
      const data = { ...app, clientSecret, keyId: encryptionKey.id, createdAt: now }
      await (await tx.models()).integrationApp.create({ data, select: { id: true } })
      written.add('app', app.id, wholeRow)
      return fingerprint(fingerprintKey, secret)
    },
    async secret(id) {
      const [app] = await tx.query(storedColumns, sql`FROM integration_apps a WHERE a.id = ${id}`)
      if (!app) throw notFound(`the app ${id} was just removed`, 'integrations apps list')
      return openClientSecret(keyring, app)
    },
    async reencrypt(app) {
      const { id, sealed } = app
      const clientSecret = encrypt(encryptionKey, contextOf(id), openClientSecret(keyring, app))
      await tx.execute(sql`UPDATE integration_apps SET client_secret = ${clientSecret}, key_id = ${encryptionKey.id}
        WHERE id = ${id} AND client_secret = ${sealed}`)
    },
    async remove(id) {
      await tx.execute(sql`DELETE FROM integration_apps WHERE id = ${id}`)
    },
    async link(integrationId, id) {
      await tx.execute(sql`INSERT INTO integration_versions (integration_id, version, updated_at, app_id) VALUES (${integrationId}, 0, ${now}, ${id})
        ON CONFLICT (integration_id) DO UPDATE SET app_id = excluded.app_id`)
      written.add('integration', integrationId, 'integration_versions.app_id', 'integration_versions.version')
    },
  }
}

import { readFileSync } from 'node:fs'
import { decrypt } from '../../src/crypto/jwe.ts'
import { headerOf, isEncrypted } from '../../src/crypto/jwe-format.ts'
import { parseKeySet } from '../../src/crypto/key-set.ts'
import { keyFile } from '../../src/keys/file.ts'
import { platformIds } from '../../src/platforms/platforms.ts'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'
import type { StoreOptions } from '../../src/store/schema/ready.ts'
import type { TestDatabase } from './database.ts'

/** Where the keys of the template databases are. */
export const testKeyFile = () => process.env.INTEGRATIONS_TEST_KEYS ?? ''

/** The keys of the template databases, or of another file. */
export const testKeys = (file = testKeyFile()) => parseKeySet(readFileSync(file, 'utf8'), 'the test keys')

/** What the first change says of keys that were made before. */
export const keysWereThere = (file = testKeyFile()): string =>
  `the keys of this database were already in ${file}: if another database uses them too, a leak of the key set exposes both\n`

/** How to open a test's database within this process. */
export const storeOptions = (db: Pick<TestDatabase, 'url'>, keys = testKeyFile()): StoreOptions => ({
  database: parseDatabaseUrl(db.url, { cwd: '/', env: {} }),
  wait: 30_000,
  create: false,
  readOnly: false,
  notice: () => {},
  keys: keyFile(keys, process.getuid?.()),
  platforms: platformIds,
  attribution: {
    ciIdentity: null,
    osUser: 'test',
    host: 'test',
    pid: process.pid,
    declaredAs: null,
    reason: null,
    programVersion: '0.0.0',
  },
})

/** Runs a query as `db.query` does, and opens what is sealed in its answer, in whichever cell it opens. */
export const openedStore =
  (db: TestDatabase): TestDatabase['query'] =>
  async (statement, ...values) => {
    const rows = await db.query(statement, ...values)
    const ids = (await db.query('SELECT id FROM integrations')).map(({ id }) => String(id))
    const cells = ids.flatMap((id) =>
      ['webhook_secret', 'access_token', 'refresh_token'].map((field) => ({ id, field })),
    )
    const keys = testKeys()
    const plain = (value: unknown) => {
      if (typeof value !== 'string' || !isEncrypted(value)) return value
      const previous = headerOf(value)?.previous
      for (const cell of cells)
        try {
          return decrypt(keys, { ...cell, ...(previous ? { previous } : {}) }, value).reveal()
        } catch {
          // It belongs into another cell.
        }
      return value
    }
    return rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([column, value]) => [column, plain(value)] as const)),
    )
  }

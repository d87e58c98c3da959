import { readFileSync } from 'node:fs'
import { decrypt } from '../../src/crypto/jwe.ts'
import { isEncrypted } from '../../src/crypto/jwe-format.ts'
import { parseKeySet } from '../../src/crypto/key-set.ts'
import { keyFile } from '../../src/keys/file.ts'
import { parseDatabaseUrl } from '../../src/store/database/url.ts'
import type { StoreOptions } from '../../src/store/schema/ready.ts'
import type { TestDatabase } from './database.ts'

/** Where the keys of the template databases are. */
export const testKeyFile = () => process.env.INTEGRATIONS_TEST_KEYS ?? ''

/** The keys of the template databases, or of another file. */
export const testKeys = (file = testKeyFile()) => parseKeySet(readFileSync(file, 'utf8'), 'the test keys')

/** How to open a test's database within this process. */
export const storeOptions = (db: TestDatabase, keys = testKeyFile()): StoreOptions => ({
  database: parseDatabaseUrl(db.url, { cwd: '/', env: {} }),
  wait: 30_000,
  create: false,
  readOnly: false,
  notice: () => {},
  keys: keyFile(keys, process.getuid?.()),
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
    const plain = async (value: unknown) => {
      if (typeof value !== 'string' || !isEncrypted(value)) return value
      const found = await Promise.all(
        cells.map((cell) =>
          decrypt(keys, cell, value).then(
            (secret) => secret.reveal(),
            () => undefined,
          ),
        ),
      )
      return found.find((one) => one !== undefined) ?? value
    }
    return Promise.all(
      rows.map(async (row) =>
        Object.fromEntries(
          await Promise.all(Object.entries(row).map(async ([column, value]) => [column, await plain(value)] as const)),
        ),
      ),
    )
  }

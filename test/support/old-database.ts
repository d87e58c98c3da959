import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { emptyPostgresql, type Kind, sqliteDatabase, type TestDatabase } from './database.ts'
import { freshFolder } from './program.ts'

const fixtures = 'test/fixtures/old-database'

/** A database of version 0.1.0, with its key set. */
export async function oldDatabase(kind: Kind): Promise<{ db: TestDatabase; keys: string }> {
  const folder = freshFolder()
  const script = readFileSync(join(fixtures, `${kind}.sql`), 'utf8')
  const set = JSON.parse(readFileSync(join(fixtures, 'keys.json'), 'utf8')) as {
    kid: string
    use: string
    hex: string
  }[]
  const keys = join(folder, 'keys.json')
  const jwks = set.map(({ hex, ...jwk }) => ({ kty: 'oct', ...jwk, k: Buffer.from(hex, 'hex').toString('base64url') }))
  writeFileSync(keys, JSON.stringify({ keys: jwks }), { mode: 0o600 })
  if (kind === 'postgresql') {
    const db = await emptyPostgresql()
    await db.query(script)
    return { db, keys }
  }
  const file = join(folder, 'integrations.db')
  writeFileSync(file, '', { mode: 0o600 })
  const client = createClient({ url: `file:${file}` })
  await client.execute('PRAGMA journal_mode = WAL')
  await client.executeMultiple(script)
  client.close()
  return { db: sqliteDatabase(file), keys }
}

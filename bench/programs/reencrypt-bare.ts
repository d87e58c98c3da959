// What `keys reencrypt` does to webhook secrets, by a driver and Node's own functions alone.
import { readFileSync } from 'node:fs'
import Database from 'libsql'
import pg from 'pg'
import { decrypt, encrypt, keyIdOf, type Root } from './bare-encryption.ts'

const url = process.env.DATABASE_URL ?? ''
const { keys } = JSON.parse(readFileSync(process.env.INTEGRATIONS_KEYS_FILE ?? '', 'utf8'))
const roots = new Map<string, Root>(
  keys.map(({ kid, k }: { kid: string; k: string }) => [kid, { id: kid, bytes: Buffer.from(k, 'base64url') }]),
)

interface Row {
  readonly id: string
  readonly webhook_secret: string
}

const again = ({ id, webhook_secret }: Row) => {
  const root = roots.get(keyIdOf(webhook_secret))
  if (!root) throw new Error('the key is not in the key set')
  return { id, keyId: root.id, text: encrypt(root, id, decrypt(root, id, webhook_secret)) }
}

const pageSize = 500
const page = (after: string) =>
  `SELECT id, webhook_secret FROM integrations WHERE id > ${after} AND webhook_secret IS NOT NULL ORDER BY id LIMIT ${pageSize}`

function onSqlite(): void {
  const db = new Database(url.replace('file:', ''))
  const read = db.prepare(page('?'))
  const write = db.prepare('UPDATE integrations SET webhook_secret = ? WHERE id = ? AND webhook_secret = ?')
  const record = db.prepare(
    "UPDATE integration_secrets SET key_id = ? WHERE integration_id = ? AND field = 'webhook_secret' AND number = 1",
  )
  for (let after = ''; ; ) {
    const rows = read.all(after) as Row[]
    db.exec('BEGIN IMMEDIATE')
    for (const row of rows) {
      const { id, keyId, text } = again(row)
      write.run(text, id, row.webhook_secret)
      record.run(keyId, id)
    }
    db.exec('COMMIT')
    after = rows.at(-1)?.id ?? ''
    if (rows.length < pageSize) break
  }
  db.close()
}

async function onPostgresql(): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  for (let after = ''; ; ) {
    const { rows } = await client.query<Row>(page('$1'), [after])
    const done = rows.map(again)
    const [ids, texts, keyIds] = [done.map((one) => one.id), done.map((one) => one.text), done.map((one) => one.keyId)]
    await client.query('BEGIN')
    await client.query(
      'UPDATE integrations i SET webhook_secret = n.text FROM unnest($1::text[], $2::text[]) AS n (id, text) WHERE i.id = n.id',
      [ids, texts],
    )
    await client.query(
      "UPDATE integration_secrets s SET key_id = n.key FROM unnest($1::text[], $2::text[]) AS n (id, key) WHERE s.integration_id = n.id AND s.field = 'webhook_secret' AND s.number = 1",
      [ids, keyIds],
    )
    await client.query('COMMIT')
    after = rows.at(-1)?.id ?? ''
    if (rows.length < pageSize) break
  }
  await client.end()
}

if (url.startsWith('file:')) onSqlite()
else void onPostgresql()

// The least that opens the embedded database and runs one query.
import Database from 'libsql'

const db = new Database((process.env.DATABASE_URL ?? '').replace('file:', ''))
console.log(db.prepare('SELECT id, name FROM integrations LIMIT 10').all())

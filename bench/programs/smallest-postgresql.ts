// The least that connects to PostgreSQL and runs one query.
import pg from 'pg'

async function main(): Promise<void> {
  const client = new pg.Client(process.env.DATABASE_URL)
  await client.connect()
  console.log((await client.query('SELECT id, name FROM integrations LIMIT 10')).rows)
  await client.end()
}

void main()

// Every event that `audit verify` reads, from PostgreSQL by its driver alone.
import pg from 'pg'

async function main(): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL ?? '' })
  await client.connect()
  const { rows } = await client.query('SELECT * FROM integration_events ORDER BY seq')
  await client.end()
  process.stdout.write(`${rows.length}\n`)
}

void main()

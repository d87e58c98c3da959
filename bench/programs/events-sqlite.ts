// Every event that `audit verify` reads, from the embedded database by its driver alone.
import { createClient } from '@libsql/client'

async function main(): Promise<void> {
  const client = createClient({ url: process.env.DATABASE_URL ?? '' })
  const { rows } = await client.execute('SELECT * FROM integration_events ORDER BY seq')
  client.close()
  process.stdout.write(`${rows.length}\n`)
}

void main()

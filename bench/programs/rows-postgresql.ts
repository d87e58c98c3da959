// Everything that `list --all -o jsonl` prints, from PostgreSQL by its driver alone.
import pg from 'pg'
import { everything, print, type Row } from './rows.ts'

// A timestamp without time zone is UTC here; the driver would take it for local time.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMP, (text) => new Date(`${text.replace(' ', 'T')}Z`))
async function main(): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL ?? '' })
  await client.connect()
  const { rows } = await client.query<Row>(everything('COLLATE "C"'))
  await client.end()
  await print(rows)
}

void main()

// Everything that `list --all -o jsonl` prints, from the embedded database by its driver alone.
import { createClient } from '@libsql/client'
import { everything, print, type Row } from './rows.ts'

async function main(): Promise<void> {
  const client = createClient({ url: process.env.DATABASE_URL ?? '' })
  const { rows } = await client.execute(everything(''))
  await print(rows as unknown as Row[])
  client.close()
}

void main()

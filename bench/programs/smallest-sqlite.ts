// The least that opens the embedded database through Prisma and runs one query.
import { PrismaLibSql } from '@prisma/adapter-libsql'
import { PrismaClient } from '../../src/store/generated/sqlite/client.ts'

async function main(): Promise<void> {
  const client = new PrismaClient({ adapter: new PrismaLibSql({ url: process.env.DATABASE_URL ?? '' }) })
  console.log(await client.integration.findMany({ take: 10, select: { id: true, name: true } }))
  await client.$disconnect()
}

void main()

// The least that opens PostgreSQL through Prisma and runs one query.
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '../../src/store/generated/postgresql/client.ts'

async function main(): Promise<void> {
  const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL ?? '' }) })
  console.log(await client.integration.findMany({ take: 10, select: { id: true, name: true } }))
  await client.$disconnect()
}

void main()

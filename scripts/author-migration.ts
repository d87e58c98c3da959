/**
 * npm run migration -- <name>
 *
 * Writes a migration for both providers from the difference between prisma/models.prisma and the models as they were
 * at the last migration (prisma/migrations/models.prisma). Needs no database. Read what it wrote: data that a
 * new table starts with is added by hand, and a migration never rebuilds one of the application's tables.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { ColumnTypeEnum, type SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import type { Provider } from '../src/store/database/url.ts'
import { noFilters } from '../src/store/migrations.ts'
import { startSchemaEngine } from '../src/store/schema/engine.ts'

const current = 'prisma/models.prisma'
const previous = 'prisma/migrations/models.prisma'

export async function difference(provider: Provider, from: string | null, to: string): Promise<string> {
  const unused = () => Promise.reject(new Error('no database is needed here'))
  const adapter = {
    provider: provider === 'sqlite' ? 'sqlite' : 'postgres',
    adapterName: 'none',
    // All that the engine asks on PostgreSQL: does the schema exist, and which version is this? Were the answer no, the
    // script would begin with CREATE SCHEMA, which a role that owns only the schema is refused.
    queryRaw: async () => ({
      columnNames: ['exists', 'version', 'numeric_version'],
      columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
      rows: [[true, 'PostgreSQL 14.0', 140000]],
    }),
    executeRaw: unused,
    executeScript: unused,
    startTransaction: unused,
    dispose: async () => {},
  } satisfies SqlDriverAdapter
  const engine = await startSchemaEngine(provider, adapter)
  const schema = (models: string) => ({
    tag: 'schemaDatamodel' as const,
    files: [{ path: 'schema.prisma', content: `datasource db {\n  provider = "${provider}"\n}\n${models}` }],
  })
  const { stdout } = await engine.diff({
    from: from === null ? { tag: 'empty' } : schema(from),
    to: schema(to),
    script: true,
    exitCode: null,
    filters: noFilters,
  })
  return stdout ?? ''
}

async function author(name: string): Promise<void> {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error('usage: npm run migration -- <name_in_snake_case>')
  const [from, to] = await Promise.all([readFile(previous, 'utf8').catch(() => null), readFile(current, 'utf8')])
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  for (const provider of ['sqlite', 'postgresql'] as const) {
    const script = await difference(provider, from, to)
    if (/^-- This is an empty migration/m.test(script))
      throw new Error(`${current} has not changed since the last migration`)
    const folder = `prisma/migrations/${provider}/${stamp}_integrations__${name}`
    await mkdir(folder, { recursive: true })
    await writeFile(`${folder}/migration.sql`, script)
    process.stdout.write(`${folder}/migration.sql\n`)
  }
  await copyFile(current, previous)
}

if (process.argv[1]?.endsWith('author-migration.ts')) await author(process.argv[2] ?? '')

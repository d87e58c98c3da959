import { createClient, type Client as LibsqlClient, type Transaction } from '@libsql/client/sqlite3'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import sql from 'sql-template-tag'
import { databaseInvalid, IntegrationsError } from '../../../errors.ts'
import { identityOf } from '../../../files.ts'
import type { Processes } from '../../../processes.ts'
import type { Client, Driver } from '../driver.ts'
import { onAdapter, type Statements } from '../statements.ts'
import { Readable, Writable } from './connections.ts'
import { isOpenElsewhere } from './descriptors.ts'
import { dialect } from './dialect.ts'
import { replacementOf } from './file.ts'
import { Overwriting } from './overwriting.ts'

/** Busy waits inside SQLite stop the event loop, so they are short; longer ones are asynchronous, outside. */
const shortWaitMs = 100

/**
 * The embedded database in a file that exists.
 *
 * @param options `readOnly`: have SQLite refuse every change; `neverBlock`: have SQLite wait for nothing; `processes`: those
 *   that wait for their turn
 */
export function sqlite(
  file: string,
  {
    readOnly,
    neverBlock = false,
    processes,
  }: {
    readonly readOnly: boolean
    readonly neverBlock?: boolean | undefined
    readonly processes?: Processes | undefined
  },
): Driver {
  const timeout = neverBlock ? 0 : shortWaitMs
  // A "file:" URL would decode % and cut at ? and #.
  const url = `file:${encodeURI(file).replaceAll('?', '%3F').replaceAll('#', '%23')}`
  const adapter = new Readable(file, { timeout, readOnly })
  let deadline = 0
  const identity = identityOf(file)
  let latest: Promise<SqlDriverAdapter> | undefined
  const overwriting = new Overwriting(file, () => latest)
  const replaced = () => replacementOf(file, identity) ?? overwriting.look()
  async function withClient<T>(work: (client: LibsqlClient) => Promise<T>): Promise<T> {
    const client = createClient({ url, timeout })
    try {
      return await work(client)
    } finally {
      client.close()
    }
  }
  return {
    provider: 'sqlite',
    dialect,
    namesSchema: true,
    until: (latest) => {
      deadline = latest
    },
    // A change that holds the lock waits for no other.
    keptMs: 0,
    replaced,
    unsafe: () =>
      isOpenElsewhere(file)
        ? new IntegrationsError({
            code: 'DATABASE_READ_ONLY',
            message: `another part of this process has ${file} open, which can end the locks of a change`,
            hint: 'run the receiver in a process of its own, or open the file with libsql alone',
          })
        : undefined,
    connect: () => {
      latest = adapter.connect()
      return latest
    },
    connectWritable: () =>
      new Writable({ url }, { file, readOnly, replaced, deadline: () => deadline, processes }).connect(),
    client: async (adapter): Promise<Client> => {
      const { PrismaClient } = await import('../../generated/sqlite/client.ts')
      return new PrismaClient({ adapter: { ...adapter, connect: async () => adapter } })
    },
    // Prisma's adapter can lose an acknowledged write in the other journal modes (prisma/orm#29933).
    isDurable: async (db) => {
      const [row] = await db.query<{ mode: string }>({ mode: sql`p.journal_mode` }, sql`FROM pragma_journal_mode p`)
      return row?.mode === 'wal'
    },
    makeDurable: async () => {
      // Outside a transaction, where alone it can be changed; a pragma that is refused says so only in its answer.
      const { rows } = await withClient((client) => client.execute('PRAGMA journal_mode = WAL'))
      if (rows[0]?.[0] !== 'wal')
        throw databaseInvalid(
          'SQLite cannot keep a write-ahead log beside the database file',
          'put the file on a local disk',
        )
    },
    executeAlone: (statement) => withClient(async (client) => void (await client.execute(statement))),
    withMigrationLock: (work) =>
      withClient(async (client) => {
        const transaction = await client.transaction('write')
        try {
          const adapter = await adapterOn(transaction)
          await requireReadable(onAdapter(adapter, { provider: 'sqlite', dialect }))
          const result = await work(adapter)
          await transaction.commit()
          return result
        } finally {
          transaction.close()
        }
      }),
  }
}

/** What Prisma's schema engine reads of a database, as the texts that they are. @throws DATABASE_INVALID for one that cannot be read */
async function requireReadable(db: Statements): Promise<void> {
  const names = { name: sql`m.name`, table: sql`m.tbl_name`, statement: sql`m.sql` }
  const made = await db.query<Record<keyof typeof names, string>>(names, sql`FROM sqlite_master m`)
  if (!made.some(({ name }) => name === '_prisma_migrations')) return
  const texts = { id: sql`m.id`, name: sql`m.migration_name`, checksum: sql`m.checksum`, logs: sql`m.logs` }
  const instants = {
    startedAt: dialect.toRfc3339(sql`m.started_at`),
    finishedAt: dialect.toRfc3339(sql`m.finished_at`),
    rolledBackAt: dialect.toRfc3339(sql`m.rolled_back_at`),
    appliedStepsCount: dialect.whole(sql`m.applied_steps_count`),
  }
  await db.query<object>({ ...texts, ...instants }, sql`FROM _prisma_migrations m`)
}

/** Prisma's adapter on one libsql transaction, whose scripts run whole. */
async function adapterOn(tx: Transaction): Promise<SqlDriverAdapter> {
  class OneTransaction extends PrismaLibSql {
    override createClient() {
      return tx as never
    }
  }
  const adapter = await new OneTransaction({ url: 'file:' }).connect()
  return {
    provider: 'sqlite',
    adapterName: adapter.adapterName,
    queryRaw: (query) => adapter.queryRaw(query),
    executeRaw: (query) => adapter.executeRaw(query),
    executeScript: (script) => adapter.executeScript(script),
    startTransaction: () => Promise.reject(new Error('a transaction is open')),
    dispose: async () => {},
  }
}

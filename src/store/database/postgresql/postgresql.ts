import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import type { PoolClient } from 'pg'
import { IntegrationsError } from '../../../errors.ts'
import type { Client, Driver } from '../driver.ts'
import { commitUnknown } from '../errors.ts'
import { isCommitUnknown, isStatementPooler } from '../symptoms.ts'
import { begin, connect, graceMs, type OpenTransaction, openPool, type Pool } from './connection.ts'
import { type ConnectionOptions, poolConfig } from './connection-options.ts'
import { dialect, lockHolder } from './dialect.ts'

/** Locks out every other process that migrates; the number is ours alone. */
const migrationLock = 7_251_104_816

/** A wait for a lock is given up and tried again, so that a pooler can lend the connection to another meanwhile. */
const lockTimeoutMs = 2000

/** After this time the server ends the transaction of a client that is gone, and releases its locks. */
const idleInTransactionMs = 10_000

/**
 * The same for a transaction that only reads. A list in a pager stands still for as long as its reader does, whatever limit
 * a role has, and holds no lock that keeps others from a change. But the server cleans up nothing that came after its
 * moment, and a process that hangs would hold that for ever.
 */
const idleReadingMs = 3_600_000

/**
 * What is kept of the time for COMMIT, at most and as a part of it: while a standby or a disk catches up, COMMIT takes seconds
 * at a server that is well, and a person would have to find out whether the change was made.
 */
const mostKeptMs = 2000
const keptPart = 1 / 8

/** What a timer, and the server, can wait at most. */
const mostMs = 2 ** 31 - 1000

/**
 * A PostgreSQL database.
 *
 * @throws BAD_INPUT when a file that its TLS parameters name cannot be read
 */
export function postgresql(options: ConnectionOptions): Driver {
  const { schema, readOnly } = options
  const config = poolConfig(options)
  const waitMs = Math.min(options.waitMs, mostMs)
  const keptMs = Math.min(waitMs * keptPart, mostKeptMs)
  let deadline = performance.now() + waitMs
  const leftMs = () => Math.max(Math.min(deadline - performance.now(), waitMs), 0)
  const lockMs = () => Math.max(Math.min(leftMs() - keptMs, lockTimeoutMs), 1)
  const scope = { schema, readOnly, waitMs, idleMs: idleInTransactionMs, renews: false, leftMs, lockMs }
  const reading = { ...scope, idleMs: idleReadingMs, renews: true }
  const open = (more: { readonly options?: string } = {}) =>
    openPool({ ...config, ...more, connectionTimeoutMillis: Math.max(leftMs(), graceMs) })
  return {
    provider: 'postgresql',
    dialect,
    namesSchema: options.namesSchema,
    until: (latest) => {
      // Others may be under way, which have longer.
      deadline = Math.max(deadline, latest)
    },
    keptMs,
    connect: () => connect(open(), reading),
    connectWritable: () => connect(open(), scope),
    client: async (adapter) => {
      const { PrismaClient } = await import('../../generated/postgresql/client.ts')
      return new PrismaClient({ adapter: { ...adapter, connect: async () => adapter } }) as unknown as Client
    },
    lockHolder: lockHolder(migrationLock),
    pooling: async () => {
      const { pool, end } = open()
      let told: unknown
      // What PostgreSQL names its process; a pooler gives a client a number of its own.
      pool.once('connect', (client) => {
        told = (client as unknown as { processID: unknown }).processID
      })
      try {
        const transaction = await begin(pool, scope, {})
        const { rows } = await transaction.queryRaw({ sql: 'SELECT pg_backend_pid()', args: [], argTypes: [] })
        await transaction.rollback()
        return rows[0]?.[0] === told ? 'none' : 'transaction or session'
      } catch (error) {
        if (isStatementPooler(error)) return 'statement'
        throw error
      } finally {
        await end()
      }
    },
    isDurable: async () => true,
    makeDurable: async () => {},
    executeAlone: async (statement) => {
      const limits = await onConnection(open(), async (client) => {
        const limits = await limitsOf(client)
        if (limits.length === 0) await client.query(statement)
        return limits
      })
      if (limits.length === 0) return
      const lifted = [config.options ?? [], limits.map((name) => `-c ${name}=0`)].flat().join(' ')
      await onConnection(open({ options: lifted }), async (client) => {
        if ((await limitsOf(client)).length > 0) throw limitsStay(limits)
        await client.query(statement)
      }).catch((error: unknown) => {
        throw saysUnsupportedParameter(error) ? limitsStay(limits, error) : error
      })
    },
    withMigrationLock: async (work) => {
      const { pool, end } = open()
      try {
        const transaction = await begin(pool, scope, { first: `SELECT pg_advisory_xact_lock(${migrationLock})` })
        let result: Awaited<ReturnType<typeof work>>
        try {
          result = await work(forEngine(transaction, schema))
        } catch (error) {
          await transaction.rollback()
          throw error
        }
        await transaction.commit().catch((cause) => {
          if (!isCommitUnknown(cause)) throw cause
          throw commitUnknown(
            'the migrations were',
            'check with integrations db status whether they were applied',
            cause,
          )
        })
        return result
      } finally {
        await end()
      }
    },
  }
}

/** Uses a connection of a pool, and ends the pool. */
async function onConnection<T>({ pool, end }: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  try {
    const client = await pool.connect()
    // The loss of the connection is told by the statement.
    client.on('error', () => {})
    return await work(client)
  } finally {
    await end()
  }
}

/** The limits that a role or a database has, which would end a statement that takes as long as it takes. */
async function limitsOf(client: PoolClient): Promise<string[]> {
  const { rows } = await client.query(
    "SELECT name FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout') AND setting <> '0'",
  )
  return rows.map(({ name }) => String(name))
}

/** Limits that the start of a connection does not lift. A SET would stay with a session that a pooler lends to others. */
const limitsStay = (limits: readonly string[], cause?: unknown) =>
  new IntegrationsError({
    code: 'NOT_PERMITTED',
    message: `${limits.join(' and ')} would end the statement, and the pooler does not let a client lift such a limit`,
    hint: 'connect to the server itself',
    cause,
  })

const saysUnsupportedParameter = (error: unknown) =>
  error instanceof Error && /unsupported startup parameter/.test(error.message)

/**
 * A transaction as the schema engine takes it. The engine locks out other engines until the session ends, which behind a
 * pooler goes on: until the end of the transaction is enough.
 */
function forEngine(transaction: OpenTransaction, schema: string): SqlDriverAdapter {
  const untilCommit = (text: string) => text.replace('pg_advisory_lock(', 'pg_advisory_xact_lock(')
  return {
    ...transaction,
    queryRaw: (query) => transaction.queryRaw({ ...query, sql: untilCommit(query.sql) }),
    executeRaw: (query) => transaction.executeRaw({ ...query, sql: untilCommit(query.sql) }),
    executeScript: (script) => transaction.executeScript(untilCommit(script)),
    startTransaction: () => Promise.reject(new Error('a transaction is open')),
    // The engine would look at the usual schema.
    getConnectionInfo: () => ({ schemaName: schema, supportsRelationJoins: true }),
    dispose: async () => {},
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import type { IsolationLevel, SqlDriverAdapter, Transaction } from '@prisma/driver-adapter-utils'
import pg from 'pg'
import { promptMs } from '../../../wait-budget.ts'
import { Silence } from './hosts.ts'
import { nameRefuser } from './refusal.ts'

/** How much longer the client waits than the server, so that the server reports its own timeout, in milliseconds. */
const answerMs = 250

/** How long closing waits for the server to answer, in milliseconds. */
const goodbyeMs = 250

/** What a server in reach has to answer, when the time is used up already, in milliseconds. */
export const graceMs = 1000

/** How long the server may take for a statement. */
const serverMs = (leftMs: number) => Math.max(leftMs, graceMs - answerMs)

/** The settings of a statement or a transaction. */
export interface Scope {
  readonly schema: string
  /** Have the server refuse every change. */
  readonly readOnly: boolean
  /** The whole time for waiting, in milliseconds. */
  readonly waitMs: number
  /** After this time the server ends a transaction whose client says nothing. */
  readonly idleMs: number
  /** Whether each answer gives the next statement the whole time again, as in a list that is read for hours. */
  readonly renews: boolean
  /** What is left of that time, in milliseconds. */
  leftMs(): number
  /** How long the server may wait for a lock, in milliseconds. */
  lockMs(): number
}

/** A transaction was not committed: the server, or the loss of the connection, had ended it before COMMIT was sent. */
class NotCommitted extends Error {
  readonly code = 'NOT_COMMITTED'
}

/** The server committed, and was told not to wait until a standby has the change. */
class NotReplicated extends Error {
  readonly code = 'NOT_REPLICATED'
}

/** A query as Prisma's adapter gives it to a pool. */
type Run = (config: pg.QueryArrayConfig) => Promise<pg.QueryArrayResult>

/** A pool of connections that ends in bounded time. */
export interface Pool {
  readonly pool: pg.Pool
  end(): Promise<void>
}

/** Opens no connection yet. */
export function openPool(config: pg.PoolConfig): Pool {
  const pool = new pg.Pool(config)
  const clients = new Set<pg.ClientBase>()
  // The loss of a connection is told by the next statement.
  pool.on('error', () => {})
  pool.on('connect', (client) => clients.add(client))
  pool.on('remove', (client) => clients.delete(client))
  const end = async () => {
    await Promise.race([pool.end(), sleep(goodbyeMs, undefined, { ref: false })])
    for (const client of clients) streamOf(client).destroy()
  }
  return { pool, end }
}

/**
 * The connections of a pool as an adapter of Prisma. Nothing is set on a session, which behind a pooler belongs to the
 * application too: what is set ends with the statement or the transaction.
 */
export async function connect({ pool, end }: Pool, scope: Scope): Promise<SqlDriverAdapter> {
  const adapter = await adapterOn((config) => runAlone(pool, scope, config), scope.schema)
  return {
    provider: 'postgres',
    adapterName: adapter.adapterName,
    queryRaw: (query) => adapter.queryRaw(query),
    executeRaw: (query) => adapter.executeRaw(query),
    executeScript: () => Promise.reject(new Error('a script needs a transaction')),
    startTransaction: (level) => begin(pool, scope, { level }),
    // Prisma puts it between quotes as it is.
    getConnectionInfo: () => ({ schemaName: scope.schema.replaceAll('"', '""'), supportsRelationJoins: true }),
    dispose: end,
  }
}

/** How a transaction begins. */
interface Begin {
  readonly level?: IsolationLevel | undefined
  /** A statement that belongs to the beginning. */
  readonly first?: string
}

/** A transaction that takes scripts too. */
export interface OpenTransaction extends Transaction {
  executeScript(script: string): Promise<void>
}

/** A transaction, begun with one message to the server. */
export async function begin(
  pool: pg.Pool,
  scope: Scope,
  { level = 'READ COMMITTED', first }: Begin,
): Promise<OpenTransaction> {
  const client = await pool.connect()
  let lost: Error | undefined
  // One time for all that is waited for in the transaction.
  let leftMs = scope.leftMs()
  const onError = (error: Error) => {
    lost ??= error
  }
  client.on('error', onError)
  const release = (error?: unknown) => {
    client.off('error', onError)
    client.release(error !== undefined)
  }
  const send = async <T>(query: Promise<T>): Promise<T> => {
    // The driver says of a statement after the loss no more than that there was one.
    const before = lost
    const askedAt = performance.now()
    const answer = await bounded(client, serverMs(leftMs) + answerMs, query).catch((error) => {
      throw before ?? error
    })
    if (scope.renews) leftMs = scope.waitMs
    else if (performance.now() - askedAt > promptMs) await shorten(askedAt + leftMs)
    return answer
  }
  /** Has the server give up first, and give its locks back: it would go on for a client that is gone. */
  const shorten = async (deadline: number): Promise<void> => {
    leftMs = Math.max(deadline - performance.now(), 0)
    const limits = `SET LOCAL statement_timeout = ${Math.ceil(serverMs(leftMs))}; SET LOCAL lock_timeout = ${Math.ceil(scope.lockMs())}`
    // Where that fails, the next statement tells why.
    await bounded(client, serverMs(leftMs) + answerMs, client.query(limits)).catch(() => {})
    leftMs = Math.max(deadline - performance.now(), 0)
  }
  const set = settings(scope, leftMs).map(([name, value]) => `SET LOCAL ${name} = ${value}`)
  const start = [
    'BEGIN',
    `SET LOCAL transaction_isolation = '${level.toLowerCase()}'`,
    ...set,
    ...(first === undefined ? [] : [first]),
  ]
  try {
    await send(client.query(start.join('; ')))
  } catch (error) {
    release(error)
    throw error
  }
  const adapter = await adapterOn((config) => send(client.query(config)), scope.schema)
  return {
    provider: 'postgres',
    adapterName: adapter.adapterName,
    options: { usePhantomQuery: true },
    queryRaw: (query) => adapter.queryRaw(query),
    executeRaw: (query) => adapter.executeRaw(query),
    executeScript: async (script) => void (await send(client.query(script))),
    commit: async () => {
      try {
        if (lost) throw new NotCommitted('the connection was lost before COMMIT', { cause: lost })
        await commit(client, leftMs + graceMs)
        release()
      } catch (error) {
        release(error)
        throw error
      }
    },
    rollback: () =>
      bounded(client, graceMs, client.query('ROLLBACK')).then(
        () => release(),
        // A transaction ends with its connection.
        (error) => release(error),
      ),
    createSavepoint: async (name) => void (await send(client.query(`SAVEPOINT ${name}`))),
    rollbackToSavepoint: async (name) => void (await send(client.query(`ROLLBACK TO SAVEPOINT ${name}`))),
    releaseSavepoint: async (name) => void (await send(client.query(`RELEASE SAVEPOINT ${name}`))),
  }
}

/**
 * Commits. The server has no time limit here: with a synchronous standby it would end the wait, and say that it has
 * committed. It says so by a warning, which a role may have turned off.
 */
async function commit(client: pg.PoolClient, limitMs: number): Promise<void> {
  let replicated = true
  const onNotice = ({ routine }: { routine?: string | undefined }) => {
    if (routine === 'SyncRepWaitForLSN') replicated = false
  }
  client.on('notice', onNotice)
  try {
    await bounded(
      client,
      limitMs,
      client
        .query('SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning; COMMIT')
        .catch(nameRefuser),
    )
  } finally {
    client.off('notice', onNotice)
  }
  if (!replicated) throw new NotReplicated('the server did not wait until a standby had the change')
}

/** What a transaction sets, as SQL. */
const settings = ({ schema, readOnly, idleMs, lockMs }: Scope, leftMs: number): [name: string, value: string][] => [
  ['search_path', pg.escapeIdentifier(schema)],
  ['TimeZone', "'UTC'"],
  ['DateStyle', "'ISO'"],
  ['IntervalStyle', "'postgres'"],
  // The catalogue would name types and triggers otherwise.
  ['quote_all_identifiers', 'off'],
  ['lock_timeout', String(Math.ceil(lockMs()))],
  ['statement_timeout', String(Math.ceil(serverMs(leftMs)))],
  ['idle_in_transaction_session_timeout', String(idleMs)],
  ...(readOnly ? ([['transaction_read_only', 'on']] satisfies [string, string][]) : []),
]

/** Runs one statement on a connection of the pool, in a transaction of its own that costs no message more. */
async function runAlone(pool: pg.Pool, scope: Scope, config: pg.QueryArrayConfig): Promise<pg.QueryArrayResult> {
  const client = await pool.connect()
  const onError = () => {}
  client.on('error', onError)
  const release = (error?: unknown) => {
    client.off('error', onError)
    client.release(error !== undefined)
  }
  const leftMs = scope.leftMs()
  try {
    const result = await bounded(client, serverMs(leftMs) + answerMs, scoped(client, settings(scope, leftMs), config))
    release()
    return result
  } catch (error) {
    release(error)
    throw error
  }
}

/**
 * Sends the settings and a statement up to one Sync message, which makes them one transaction: poolers in statement mode
 * take it too, and it is one round trip.
 */
function scoped(
  client: pg.PoolClient,
  set: readonly (readonly [name: string, value: string])[],
  config: pg.QueryArrayConfig,
): Promise<pg.QueryArrayResult> {
  const conditions = set.map(
    ([name, value]) =>
      `pg_catalog.set_config('${name}', ${value.startsWith("'") ? value : pg.escapeLiteral(value)}, true) IS NULL`,
  )
  // No setting is null: the statement has no row, and every condition is evaluated.
  const text = `SELECT WHERE ${conditions.join(' OR ')}`
  const extended = { ...config, queryMode: 'extended' }
  const query = new pg.Query(extended)
  const submit = query.submit.bind(query)
  query.submit = (connection) => {
    connection.stream.cork()
    connection.parse({ name: '', text, types: [] }, true)
    connection.bind({ values: [] }, true)
    connection.execute(null, true)
    submit(connection)
    connection.stream.uncork()
  }
  return new Promise((resolve, reject) => {
    // There are two results: that of the settings comes first.
    query.on('end', (results: unknown) => resolve((results as pg.QueryArrayResult[])[1] as pg.QueryArrayResult))
    query.on('error', reject)
    client.query(query)
  })
}

// Every client that a pool makes is one.
const streamOf = (client: pg.ClientBase) => (client as pg.Client).connection.stream

/** Waits for an answer; when there is none in time, the connection is destroyed, which ends every query on it. */
async function bounded<T>(client: pg.PoolClient, limitMs: number, answer: Promise<T>): Promise<T> {
  let over: NodeJS.Immediate | undefined
  const end = () => streamOf(client).destroy(new Silence('the server did not answer in time'))
  // After a turn in which what has arrived is read: the process may have been stopped, and timers go first.
  const timer = setTimeout(() => {
    over = setImmediate(end)
  }, limitMs)
  try {
    return await answer
  } finally {
    clearTimeout(timer)
    clearImmediate(over)
  }
}

/** Prisma's adapter, which maps values and errors, on a function that runs a query. */
function adapterOn(run: Run, schema: string): Promise<SqlDriverAdapter> {
  const query: Run = (config) => run(config).catch(nameRefuser)
  // The adapter takes nothing but a pool.
  return new PrismaPg(Object.assign(new pg.Pool(), { query }), { schema }).connect()
}

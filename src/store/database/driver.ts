import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import type { Sql } from 'sql-template-tag'
import type { Damageable } from '../../damage.ts'
import type { IntegrationsError } from '../../errors.ts'
import type { PrismaClient } from '../generated/sqlite/client.ts'
import type { Columns, Select, Statements } from './statements.ts'
import type { Provider } from './url.ts'

/**
 * A Prisma client. Both providers' clients are generated from the same models and differ in none of the calls made
 * here; SQLite's stands for both.
 */
export type Client = PrismaClient

/** A query that lists rows, in the parts that a page of it needs. */
export interface Listing<Row> {
  readonly columns: Columns<Row>
  /** Tables and joins that the condition and the order need. */
  readonly from: Sql
  /** The same for the columns and the order, of all rows or of those whose ids a query gives. */
  readonly columnsFrom: (ids?: Sql) => Sql
  readonly where: Sql
  readonly order: Sql
  /** Empty, or how many rows at most. */
  readonly limit: Sql
  /** The listed table's primary key. */
  readonly id: Sql
}

/** What a column should hold. */
export type ColumnKind = 'text' | 'whole' | 'time' | 'flag'

/** Rows to change, each by values of its own. */
export interface RowChanges {
  readonly table: string
  /** The columns that name a row. */
  readonly keys: readonly string[]
  /** The columns of `given`: the keys, and whatever else is said of a row. */
  readonly given: readonly string[]
  /** What they hold for each row; no two name the same row. */
  readonly rows: readonly (readonly (string | number | Date)[])[]
  /** The assignments of an UPDATE, which may name columns of `given`. */
  readonly set: Sql
  /** Which of the rows are changed. */
  readonly where: Sql
}

/** Where the two databases' SQL differs. */
export interface Dialect {
  /**
   * A query for columns, and what follows them, in the form that `Statements.fetch` takes. It reads no cell that holds
   * another kind of value than its column should, or more than a text may have.
   */
  readonly select: Select
  /** The same for as many rows as a page has, one at least where there is one. */
  readonly selectPage: Select
  /** A column of whole numbers, which may come as their texts. */
  whole(column: Sql): Sql
  /** What is made of a column of booleans. */
  flag(column: Sql, made: Sql): Sql
  /** Whether a column holds what none of its kind should: it compares with nothing, so that a condition alone would lose its row. */
  isMalformed(kind: ColumnKind, column: Sql): Sql
  /** A timestamp column as RFC 3339 text in UTC with milliseconds. */
  toRfc3339(column: Sql): Sql
  /** A timestamp column as a value that orders and compares by time, at the precision that is stored. */
  comparableTime(column: Sql): Sql
  /** An instant given as RFC 3339 text, comparable with `comparableTime`. */
  timeLiteral(instant: string): Sql
  /** The database's clock, as a timestamp column would hold it. */
  readonly now: Sql
  /** What its clock will say in a number of milliseconds. */
  nowPlus(milliseconds: number): Sql
  /** Who the database says this is; null where the database knows no role. */
  readonly role: Sql
  /** Whether this role may change a column of a table. */
  mayUpdate(table: string, column: string): Sql
  /** A text column as a value that orders by its bytes. */
  binaryOrder(column: Sql): Sql
  /** Whether an index orders a table by the bytes of a column of texts. */
  isIndexedByBytes(table: string, column: string): Sql
  /** Whether two values come after two others, the second of each where the first are equal, by a condition that an index on both can seek. */
  isAfter(values: readonly [Sql, Sql], others: readonly [Sql, Sql]): Sql
  /** Whether a text column holds a text, compared as its type compares, by a condition that an index in byte order can seek. */
  equals(column: Sql, text: string): Sql
  /** Whether a text column begins with a text, by a condition that an index in byte order can seek. */
  startsWith(column: Sql, prefix: string): Sql
  /** After a SELECT of one row: keeps the application from changing it until the transaction ends; undefined where it cannot anyway. */
  readonly lock: Sql | undefined
  /**
   * Changes rows in one statement. It waits for a row that another transaction holds where it is the only one: of several,
   * which it would keep while it waits, it changes the others.
   *
   * @returns the indexes of rows that another transaction holds: these are as they were
   */
  updateRows(db: Statements, changes: RowChanges): Promise<readonly number[]>
  /** What a column is set to that is to hold nothing: where it may not be null, its default, as far as the database can be told. */
  readonly nothing: Sql
  /** A column of any type as its text. */
  asText(column: Sql): Sql
  /** The same with ASCII case ignored. No index knows of it. */
  equalsInAnyCase(column: Sql, text: string): Sql
  /** Whether a text contains another, taken literally, ASCII case ignored. */
  contains(column: Sql, text: string): Sql
  /** The rows of a query as the text of a JSON array of arrays, for one cell; null or an empty array when there are none. */
  jsonRows(columns: readonly Sql[], from: Sql): Sql
  /** How many rows a statement may go through, where it does so on the event loop. */
  readonly rowsAtOnce: number | undefined
  /**
   * A table in parts, each of which is walked through in a few milliseconds: SQLite does so on the event loop, which goes on
   * between two. What another program does meanwhile may be missed.
   */
  parts(db: Statements, table: string): AsyncIterable<Sql>
  /**
   * Reads every row of a listing from one snapshot, at most `most` rows and a page at a time, inside a transaction.
   * What it makes there ends with the transaction or the connection.
   */
  pages<Row extends object>(db: Statements, listing: Listing<Row>, most: number): AsyncGenerator<(Row & Damageable)[]>
}

/** One kind of database: how to connect to it, and how to speak to it. */
export interface Driver {
  readonly provider: Provider
  readonly dialect: Dialect
  /** Whether the schema of its tables was chosen, and is not just the usual one. */
  readonly namesSchema: boolean
  /** Says until when what begins from now on may wait, by `performance.now()`. Of works at the same time, the last says it for all. */
  until(deadline: number): void
  /** How much of that time a change keeps for its COMMIT: no lock is waited for then. In milliseconds. */
  readonly keptMs: number
  /** Why the database that was opened is not that of its URL any more: its file was replaced, or is gone. SQLite alone has one. */
  replaced?(): IntegrationsError | undefined
  /** Why a change could be lost in this process, as far as that can be told. SQLite alone. */
  unsafe?(): IntegrationsError | undefined
  /** Names the session that others wait for; undefined when the database does not tell. Only where one can. */
  lockHolder?(db: Statements): Promise<string | undefined>
  /** How a pooler before the server lends connections. Only where there may be one. */
  pooling?(): Promise<'none' | 'statement' | 'transaction or session'>
  /** A new connection, for reading. */
  connect(): Promise<SqlDriverAdapter>
  /** A new connection, for changing: its transactions begin with the lock that they need. */
  connectWritable(): Promise<SqlDriverAdapter>
  /** A new Prisma client. */
  client(adapter: SqlDriverAdapter): Promise<Client>
  /** Whether the database, as it is set up, loses no change that was acknowledged. */
  isDurable(db: Statements): Promise<boolean>
  /**
   * Sets the database up so that `isDurable` holds. SQLite writes that into the file, so it is for those who know
   * that the database is theirs to change.
   *
   * @throws DATABASE_INVALID when that is not possible where the database is
   */
  makeDurable(): Promise<void>
  /** Runs a statement of which no transaction may be a part, however long it takes, on a connection of its own. */
  executeAlone(statement: string): Promise<void>
  /**
   * Runs `work` on one connection, in one transaction that holds the database's write lock from the start: commits
   * when it returns, rolls back when it throws.
   *
   * @throws COMMIT_UNKNOWN when the connection was lost at COMMIT, and whatever `work` throws
   */
  withMigrationLock<T>(work: (adapter: SqlDriverAdapter) => Promise<T>): Promise<T>
}

import { type StoreOptions, withDatabase } from './ready.ts'

/** How connections are lent by what stands before a server; `none` where nothing does. */
export type Pooling = 'none' | 'statement' | 'transaction or session'

/** Finds out whether a pooler stands before a PostgreSQL server. @returns undefined for SQLite */
export const readPooling = (options: StoreOptions): Promise<Pooling | undefined> =>
  withDatabase(options, async (driver) => driver.pooling?.())

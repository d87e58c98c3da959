import sql, { type Sql } from 'sql-template-tag'
import type { User } from '../../integration.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, countRows, type Page, readPage, type Source } from './page.ts'
import type { userSorts } from './sorts.ts'

/** Which users to list. */
export interface UserFilter {
  /** A literal part of the e-mail address, ASCII case ignored. */
  readonly emailContains?: string
}

/** The queries about users. */
export function userRows(db: Statements, dialect: Dialect) {
  const source = userSource(dialect)
  const condition = ({ emailContains }: UserFilter) =>
    all(emailContains === undefined ? [] : [dialect.contains(sql`u.email`, emailContains)])

  return {
    /** Hands on the users of a page, in order. */
    list: (filter: UserFilter, page: Page, onRows: (rows: User[]) => Promise<void>): Promise<void> =>
      readPage<User>(db, dialect, source, condition(filter), page, onRows),

    /** How many users a filter leaves, from where the page begins. */
    count: (filter: UserFilter, page: Page): Promise<number> => countRows(db, dialect, source, condition(filter), page),

    /** The users with this id or e-mail address; the id goes first. */
    match: (ref: string): Promise<User[]> =>
      db.query(sql`SELECT ${source.columns} FROM ${source.from} WHERE u.id = ${ref} OR u.email = ${ref}
        ORDER BY CASE WHEN u.id = ${ref} THEN 0 ELSE 1 END LIMIT 1`),
  }
}

/** What changes users, within a transaction. */
export function userChanges(tx: WritableStatements) {
  return {
    /** Inserts a user. */
    async insert(id: string, email: string, name: string | null, now: Date): Promise<void> {
      await tx.models.user.create({ data: { id, email, name, createdAt: now, updatedAt: now }, select: { id: true } })
    },

    /** Deletes a user; the integrations they created stay, without a creator. */
    async remove(id: string): Promise<void> {
      await tx.models.user.deleteMany({ where: { id } })
    },
  }
}

function userSource({ toRfc3339, comparableTime, binaryOrder }: Dialect): Source {
  return {
    columns: sql`u.id, u.email, u.name, ${toRfc3339(sql`u.created_at`)} AS "createdAt"`,
    from: sql`users u`,
    id: sql`u.id`,
    keys: {
      email: binaryOrder(sql`u.email`),
      name: binaryOrder(sql`u.name`),
      createdAt: comparableTime(sql`u.created_at`),
      id: binaryOrder(sql`u.id`),
    } satisfies Record<(typeof userSorts)[number], Sql>,
  }
}

import sql, { type Sql } from 'sql-template-tag'
import type { User } from '../../integration.ts'
import type { Target } from '../audit/events.ts'
import { type WrittenColumns, wholeRow } from '../audit/written.ts'
import type { Dialect } from '../database/driver.ts'
import type { Statements, WritableStatements } from '../database/statements.ts'
import { all, type ListReader, listReader, type Source } from './page.ts'
import type { userSorts } from './sorts.ts'

/** Which users to list. */
export interface UserFilter {
  /** A literal part of the e-mail address, ASCII case ignored. */
  readonly emailContains?: string
}

/** What can be read of users. */
export interface UserReader extends ListReader<UserFilter, User> {
  /** The users with this id or e-mail address; the id goes first. */
  match(ref: string): Promise<User[]>
  /** The users with this e-mail address, ASCII case ignored, at most `limit`. */
  withEmailInAnyCase(email: string, limit: number): Promise<User[]>
  /** The users whose id begins so, at most `limit`. */
  beginningWith(prefix: string, limit: number): Promise<User[]>
}

/** What can be changed of users. */
export interface UserWriter {
  insert(user: Omit<User, 'createdAt'>, now: Date): Promise<void>
  /** Deletes a user; the integrations they created stay, without a creator. @returns these */
  remove(id: string): Promise<readonly Target[]>
}

/** Reads users. */
export function userReader(db: Statements, dialect: Dialect): UserReader {
  const source = userSource(dialect)
  const condition = ({ emailContains }: UserFilter) =>
    all(emailContains === undefined ? [] : [dialect.contains(sql`u.email`, emailContains)])
  return {
    ...listReader({ db, dialect, source, condition, toRow: (user: User) => user }),
    match: (ref) =>
      db.queryAll(
        source.columns,
        sql`FROM ${source.from} WHERE u.id = ${ref} OR u.email = ${ref}
        ORDER BY CASE WHEN u.id = ${ref} THEN 0 ELSE 1 END LIMIT 1`,
      ),
    withEmailInAnyCase: (email, limit) =>
      db.queryAll(
        source.columns,
        sql`FROM ${source.from} WHERE ${dialect.equalsInAnyCase(sql`u.email`, email)} ORDER BY ${dialect.binaryOrder(sql`u.id`)} LIMIT ${limit}`,
      ),
    beginningWith: (prefix, limit) =>
      db.queryAll(
        source.columns,
        sql`FROM ${source.from} WHERE ${dialect.startsWith(sql`u.id`, prefix)} ORDER BY ${dialect.binaryOrder(sql`u.id`)} LIMIT ${limit}`,
      ),
  }
}

/** Changes users, within a transaction. */
export const userWriter = (tx: WritableStatements, written: WrittenColumns): UserWriter => ({
  async insert(user, now) {
    await (await tx.models()).user.create({ data: { ...user, createdAt: now, updatedAt: now }, select: { id: true } })
    written.add('user', user.id, wholeRow)
  },
  async remove(id) {
    const created = await tx.queryAll<{ id: string; name: string }>(
      { id: sql`i.id`, name: sql`w.name || '/' || i.name` },
      sql`FROM integrations i JOIN workspaces w ON w.id = i.workspace_id WHERE i.created_by = ${id} ORDER BY i.id`,
    )
    await tx.execute(sql`DELETE FROM users WHERE id = ${id}`)
    for (const one of created) written.add('integration', one.id, 'created_by')
    return created.map((one) => ({ type: 'integration', ...one }))
  },
})

function userSource({ toRfc3339, comparableTime, binaryOrder }: Dialect): Source<User> {
  return {
    columns: { id: sql`u.id`, email: sql`u.email`, name: sql`u.name`, createdAt: toRfc3339(sql`u.created_at`) },
    from: sql`users u`,
    id: sql`u.id`,
    table: 'users',
    keys: {
      email: binaryOrder(sql`u.email`),
      name: binaryOrder(sql`u.name`),
      createdAt: comparableTime(sql`u.created_at`),
      id: binaryOrder(sql`u.id`),
    } satisfies Record<(typeof userSorts)[number], Sql>,
  }
}

import sql from 'sql-template-tag'
import type { Instant } from '../brands.ts'
import { refuseDamaged } from '../damage.ts'
import type { Dialect } from './database/driver.ts'
import type { Statements } from './database/statements.ts'
import { ofHead, type SettingRow, type Settings, settingColumns, settingRows, settingsOf } from './tables/keys.ts'

/** The settings that decide how a change is made, and how things are when it begins. */
export interface StartOfChange {
  readonly settings: Settings
  /** The database's clock. */
  readonly now: Date
  /** Who the database says this is. */
  readonly databaseRole: string | null
  /** When the newest event was recorded; null: there is none, or its time cannot be read. */
  readonly newestEvent: Instant | null
  /** Rows stand beyond the end of the log. */
  readonly hasForeignRows: boolean
  /** When the first of the previous values that are kept expires, or expired; null: none is kept; undefined: that cannot be read. */
  readonly firstExpiry: Instant | null | undefined
}

/** Reads in one statement what every change begins with. @throws DATABASE_INVALID for an unknown encryption mode */
export async function readStartOfChange(db: Statements, dialect: Dialect): Promise<StartOfChange> {
  const { toRfc3339, now, role } = dialect
  const rows = await db.queryAll<SettingRow & StartRow>(
    {
      ...settingColumns(dialect),
      now: ofHead(toRfc3339(now)),
      role: ofHead(role),
      newest: ofHead(sql`(SELECT ${toRfc3339(sql`e.at`)} FROM integration_events e WHERE e.seq = s.seq)`),
      // The highest: PostgreSQL would walk through the log to find any.
      foreign: ofHead(
        sql`CASE WHEN (SELECT max(e.seq) FROM integration_events e WHERE e.seq > s.seq) IS NOT NULL THEN 1 END`,
      ),
      earliest: ofHead(
        sql`(SELECT ${toRfc3339(sql`min(v.valid_until)`)} FROM integration_secrets v WHERE v.sealed IS NOT NULL)`,
      ),
    },
    settingRows,
  )
  const head = rows.find(({ key }) => key === 'head')
  const instant = (name: 'newest' | 'earliest') => (head?.damage?.includes(name) ? undefined : (head?.[name] ?? null))
  const settings = refuseDamaged(rows.map(({ damage, ...row }) => ({ ...row, ...withoutInstants(damage) })))
  return {
    settings: settingsOf(settings),
    now: new Date(head?.now ?? Number.NaN),
    databaseRole: head?.role ?? null,
    newestEvent: instant('newest') ?? null,
    hasForeignRows: Boolean(head?.foreign),
    firstExpiry: instant('earliest'),
  }
}

interface StartRow {
  readonly now: Instant | null
  readonly role: string | null
  readonly newest: Instant | null
  readonly foreign: number | bigint | null
  /** When the first of the kept values expires. */
  readonly earliest: Instant | null
}

/** A time of these that cannot be read stops no change. */
function withoutInstants(damage: readonly string[] | undefined) {
  const rest = damage?.filter((field) => field !== 'newest' && field !== 'earliest') ?? []
  return rest.length > 0 ? { damage: rest } : {}
}

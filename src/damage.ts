import { databaseInvalid, type IntegrationsError, quoted } from './errors.ts'

/** A row that was read although some of it cannot be. */
export interface Damageable {
  /** The names of its fields that cannot be read, which hold a text for people instead; absent for none. */
  readonly damage?: readonly string[]
}

/** The column of a field, as in `slack_team_id`. */
export const columnName = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Fields that name another row. */
const references: readonly string[] = ['workspaceId', 'app']

/** What people are told of a row with fields that cannot be read. */
export function damageText(id: string, fields: readonly string[]): string {
  const gone = fields.some((field) => references.includes(field))
  const names = fields.map(columnName).join(', ')
  return fields.length === 1
    ? `the column ${names} of the row ${quoted(id)} cannot be read: its value is malformed, or longer than 1 MiB${gone ? ', or names a row that is not there' : ''}`
    : `the columns ${names} of the row ${quoted(id)} cannot be read: their values are malformed, or longer than 1 MiB${gone ? ', or name rows that are not there' : ''}`
}

/** The error for a row with fields that cannot be read. */
export const damaged = (id: string, fields: readonly string[]): IntegrationsError =>
  databaseInvalid(
    damageText(id, fields),
    'replace the value with integrations update or integrations rotate, or in the application',
  )

/** Refuses a row with fields that cannot be read. @throws DATABASE_INVALID */
export function refuseDamage({ id, damage }: Damageable & { readonly id: string }): void {
  if (damage) throw damaged(id, damage)
}

/** Refuses rows with fields that cannot be read. The first field of each names it. @throws DATABASE_INVALID for the first of them */
export function refuseDamaged<Row extends object>(rows: readonly (Row & Damageable)[]): Row[] {
  for (const { damage, ...cells } of rows.filter((row) => row.damage))
    throw damaged(String(Object.values(cells)[0]), damage ?? [])
  return rows as Row[]
}

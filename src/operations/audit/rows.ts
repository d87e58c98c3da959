import type { RootKey } from '../../crypto/key-set.ts'
import { type StatefulType, statefulTypes } from '../../store/audit/row-columns.ts'
import type { ComparedRow } from '../../store/audit/row-states.ts'
import type { Reader } from '../../store/store.ts'
import { isLabelColumn } from '../../store/tables/labels.ts'

/** A row that is not as its newest event keeps it. */
export interface RowFinding {
  readonly type: StatefulType
  readonly id: string
  /** What people know the row by. */
  readonly name: string
  /** The columns that differ, those of another table with its name before them; none: the whole row. */
  readonly columns: readonly string[]
  readonly problem: string
}

/** The rows beside what the audit log keeps of them. */
export interface RowCheck {
  readonly findings: readonly RowFinding[]
  /** How many rows no event keeps the state of. */
  readonly notRecorded: number
}

/** How rows are compared with the log. */
interface RowCheckOptions {
  /** The audit key. */
  readonly key: RootKey
  /** The numbers of the events that this program has not written, which tell nothing. */
  readonly untrusted: ReadonlySet<bigint>
  /** Workspaces and users are the application's, and so are rows that it has inserted. */
  readonly adopted: boolean
}

/** Compares every row with the state that its newest event keeps of it. */
export async function checkRows(db: Reader, { key, untrusted, adopted }: RowCheckOptions): Promise<RowCheck> {
  const now = await db.clock()
  const findings: RowFinding[] = []
  let notRecorded = 0
  for (const type of recordedTypes(adopted)) {
    for await (const rows of db.states.compare(type, { key, now }))
      for (const row of rows) {
        const finding = findingOf(type, row, untrusted)
        if (finding) findings.push(finding)
        else if (row.differences === undefined) notRecorded++
      }
    for await (const rows of db.states.removed(type))
      for (const { id, name } of rows)
        findings.push({ type, id, name, columns: [], problem: 'the row was removed without an event' })
  }
  return { findings, notRecorded }
}

/** Whether rows of a kind are in a table of the application, which may put them in and change them where it owns its tables. */
export const isOfApplication = (type: StatefulType): boolean =>
  type === 'workspace' || type === 'user' || type === 'integration'

/**
 * Tells what an application changed, which may write its own tables and what goes with an integration, from what it has no
 * part in: labels, by which policies choose integrations.
 */
export function attributed(findings: readonly RowFinding[]): {
  readonly problems: readonly RowFinding[]
  readonly byApplication: readonly RowFinding[]
} {
  const problems: RowFinding[] = []
  const byApplication: RowFinding[] = []
  for (const one of findings) {
    const labels = one.columns.filter(isLabelColumn)
    const others = one.columns.filter((column) => !isLabelColumn(column))
    if (!isOfApplication(one.type)) problems.push(one)
    else if (labels.length === 0) byApplication.push(one)
    else {
      problems.push({ ...one, ...changed(labels) })
      if (others.length > 0) byApplication.push({ ...one, ...changed(others) })
    }
  }
  return { problems, byApplication }
}

/** The kinds of rows of which events keep the state. */
export const recordedTypes = (adopted: boolean): readonly StatefulType[] =>
  adopted ? statefulTypes.filter((type) => type !== 'workspace' && type !== 'user') : statefulTypes

function findingOf(
  type: StatefulType,
  { id, name, differences, event, isForeign }: ComparedRow,
  untrusted: ReadonlySet<bigint>,
): RowFinding | undefined {
  const found = { type, id, name }
  if (event !== undefined && untrusted.has(event))
    return { ...found, columns: [], problem: `its newest event, ${event}, was changed` }
  if (isForeign) return { ...found, columns: [], problem: 'no event added the row' }
  if (differences === undefined || differences.length === 0) return undefined
  return { ...found, ...changed(differences) }
}

const changed = (columns: readonly string[]): Pick<RowFinding, 'columns' | 'problem'> => ({
  columns,
  problem: `changed without an event: ${columns.join(', ')}`,
})

import type { JsonObject } from '../../json.ts'
import type { SeenProblem } from '../../operations/audit/acknowledge.ts'
import type { EventProblem } from '../../operations/audit/chain.ts'
import type { RowFinding } from '../../operations/audit/rows.ts'
import type { Problem, Verification } from '../../operations/audit/verify.ts'
import type { AuditEvent } from '../../store/audit/events.ts'
import { fingerprintsOf } from '../../store/audit/fingerprints.ts'
import type { Column, View } from '../output/values.ts'
import { ago, value } from './cells.ts'

/** Who is said to have done something: a CI system's word, else the operating system's, and `--as`. */
const who = ({ ciIdentity, osUser, host, declaredAs }: AuditEvent): string =>
  `${ciIdentity ?? `os:${osUser}@${host}`}${declaredAs === null ? '' : ` as ${declaredAs}`}`

const whole = (field: keyof AuditEvent): Column<AuditEvent> => ({
  field,
  value: (row) => (row[field] === null ? null : Number(row[field])),
})

/** How events of the audit log are shown. */
export const eventView: View<AuditEvent> = {
  columns: [
    whole('seq'),
    ago('at', 'when'),
    {
      field: 'action',
      value: (row) => row.action,
      cell: (row) => (row.outcome === 'done' ? [row.action, 'plain'] : [`${row.action} (${row.outcome})`, 'warn']),
      cut: 'middle',
    },
    value('outcome'),
    {
      field: 'target',
      value: (row) => row.targetName ?? row.targetId,
      cell: (row) =>
        row.targetType === 'database' ? ['the database', 'dim'] : [row.targetName ?? row.targetId ?? '', 'plain'],
      cut: 'middle',
    },
    value('targetType'),
    value('targetId'),
    value('targetName'),
    { field: 'fields', value: (row) => row.fields?.split(',') ?? [], cut: 'end' },
    { field: 'fingerprints', value: (row) => fingerprintsOf(row.fingerprints).map((change) => ({ ...change })) },
    value('keyId'),
    whole('versionBefore'),
    whole('versionAfter'),
    whole('count'),
    { field: 'who', value: who, cut: 'end' },
    value('ciIdentity'),
    value('osUser'),
    value('host'),
    whole('pid'),
    value('declaredAs'),
    { ...value('databaseRole'), head: 'role', cut: 'end' },
    { ...value('reason'), cut: 'end' },
    value('requestId'),
    value('programVersion'),
    value('previousHash'),
    value('hash'),
  ],
  short: ['seq', 'at', 'action', 'target', 'who', 'databaseRole', 'reason'],
  essential: ['action', 'target', 'at', 'who', 'seq', 'reason'],
  id: (row) => row.seq,
}

const eventFacts = ({ seq, problem }: EventProblem) => ({ seq: Number(seq), problem })

function factsOf(one: Problem): JsonObject {
  if ('seq' in one) return eventFacts(one)
  if (one.kind === 'row') return rowFacts(one)
  const { kind: _, ...facts } = one
  return facts
}

const rowFacts = ({ type, id, name, columns, problem }: RowFinding): JsonObject => ({
  type,
  id,
  name,
  columns: [...columns],
  problem,
})

/** How the outcome of `audit verify` is shown. */
export const verificationView: View<Verification> = {
  columns: [
    { field: 'ok', value: ({ problems }) => problems.length === 0 },
    value('events'),
    { field: 'seq', value: ({ head }) => Number(head.seq) },
    { field: 'hash', value: ({ head }) => head.hash },
    value('values'),
    { field: 'problems', value: ({ problems }) => problems.map(factsOf) },
    {
      field: 'acknowledged',
      value: ({ acknowledged }) =>
        acknowledged.map(({ by, reason, ...one }) => ({ ...eventFacts(one), by: Number(by), reason })),
    },
    {
      field: 'changedByApplication',
      value: ({ byApplication, rowsByApplication }) => [
        ...byApplication.map((place) => ({ ...place })),
        ...rowsByApplication.map(rowFacts),
      ],
    },
    value('notRecorded'),
    {
      field: 'clockSteps',
      value: ({ clockSteps }) => clockSteps.map(({ seq, ...times }) => ({ seq: Number(seq), ...times })),
    },
  ],
  short: [
    'ok',
    'events',
    'seq',
    'hash',
    'values',
    'problems',
    'acknowledged',
    'changedByApplication',
    'notRecorded',
    'clockSteps',
  ],
  id: ({ head }) => head.hash,
}

/** How acknowledged damage is shown. */
export const acknowledgementView: View<{ readonly problems: readonly SeenProblem[] }> = {
  columns: [{ field: 'problems', value: ({ problems }) => problems.map(factsOf) }],
  short: ['problems'],
  id: ({ problems }) => problems.map((one) => ('seq' in one ? one.seq : one.id)).join('\n'),
}

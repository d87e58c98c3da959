import type { JsonObject } from '../../json.ts'
import type { Problem, Verification } from '../../operations/audit/verify.ts'
import type { AuditEvent } from '../../store/tables/events.ts'
import { fingerprintsOf } from '../../store/tables/fingerprints.ts'
import type { View } from '../output/output.ts'
import type { Column } from '../output/values.ts'
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
    ago('at'),
    {
      field: 'action',
      value: (row) => row.action,
      cell: (row) => (row.outcome === 'done' ? [row.action, 'plain'] : [`${row.action} (${row.outcome})`, 'warn']),
    },
    value('outcome'),
    {
      field: 'target',
      value: (row) => row.targetName ?? row.targetId,
      cell: (row) =>
        row.targetType === 'database' ? ['the database', 'dim'] : [row.targetName ?? row.targetId ?? '', 'plain'],
    },
    value('targetType'),
    value('targetId'),
    value('targetName'),
    { field: 'fields', value: (row) => row.fields?.split(',') ?? [] },
    { field: 'fingerprints', value: (row) => fingerprintsOf(row.fingerprints).map((change) => ({ ...change })) },
    value('keyId'),
    whole('versionBefore'),
    whole('versionAfter'),
    whole('count'),
    { field: 'who', head: 'who (self-declared)', value: who },
    value('ciIdentity'),
    value('osUser'),
    value('host'),
    whole('pid'),
    value('declaredAs'),
    value('databaseRole'),
    value('reason'),
    value('requestId'),
    value('programVersion'),
    value('previousHash'),
    value('hash'),
  ],
  short: ['seq', 'at', 'action', 'target', 'who', 'databaseRole', 'reason'],
  id: (row) => row.seq,
}

function factsOf(one: Problem): JsonObject {
  if (one.kind === 'event') return { seq: Number(one.seq), problem: one.problem }
  const { kind: _, ...facts } = one
  return facts
}

/** How the outcome of `audit verify` is shown. */
export const verificationView: View<Verification> = {
  columns: [
    { field: 'ok', value: ({ problems }) => problems.length === 0 },
    value('events'),
    { field: 'seq', value: ({ head }) => Number(head.seq) },
    { field: 'hash', value: ({ head }) => head.hash },
    value('values'),
    { field: 'problems', value: ({ problems }) => problems.map(factsOf) },
    { field: 'changedByApplication', value: ({ byApplication }) => byApplication.map((place) => ({ ...place })) },
    {
      field: 'clockSteps',
      value: ({ clockSteps }) => clockSteps.map(({ seq, ...times }) => ({ seq: Number(seq), ...times })),
    },
  ],
  short: ['ok', 'events', 'seq', 'hash', 'values', 'problems', 'changedByApplication', 'clockSteps'],
  id: ({ head }) => head.hash,
}

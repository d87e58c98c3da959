import { isObject, type Json, type JsonObject } from '../../json.ts'
import type { SeenProblem } from '../../operations/audit/acknowledge.ts'
import type { EventProblem } from '../../operations/audit/chain.ts'
import type { RowFinding } from '../../operations/audit/rows.ts'
import type { FieldChange, ShownEvent } from '../../operations/audit/show.ts'
import type { Problem, Verification } from '../../operations/audit/verify.ts'
import type { AuditEvent } from '../../store/audit/events.ts'
import { fingerprintsOf } from '../../store/audit/fingerprints.ts'
import type { Cell } from '../output/tone.ts'
import type { Column, View } from '../output/values.ts'
import { ago, value } from './cells.ts'

/** Who is said to have done something: a CI system's word, else the operating system's, and `--as`. */
export const who = ({
  ciIdentity,
  osUser,
  host,
  declaredAs,
}: Pick<AuditEvent, 'ciIdentity' | 'osUser' | 'host' | 'declaredAs'>): string =>
  `${ciIdentity ?? `os:${osUser}@${host}`}${declaredAs === null ? '' : ` as ${declaredAs}`}`

const fingerprintWords = (text: string): string =>
  fingerprintsOf(text)
    .map(({ field, from, to }) => `${field} ${from ?? 'none'} -> ${to ?? 'none'}`)
    .join(', ')

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
    {
      field: 'fields',
      value: (row) => row.fields?.split(',') ?? [],
      cell: (row) => [row.fields?.replaceAll(',', ', ') ?? '', 'plain'],
      cut: 'end',
    },
    {
      field: 'fingerprints',
      value: (row) => fingerprintsOf(row.fingerprints).map((change) => ({ ...change })),
      cell: (row) => [row.fingerprints === null ? '' : fingerprintWords(row.fingerprints), 'plain'],
      cut: 'end',
    },
    value('keyId'),
    whole('versionBefore'),
    whole('versionAfter'),
    whole('count'),
    { field: 'who', value: who, cut: 'middle' },
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

/** How one event is shown, with what it changed. */
export const shownEventView: View<AuditEvent & Pick<ShownEvent, 'changes' | 'verified'>> = {
  ...eventView,
  columns: [
    ...eventView.columns,
    { field: 'changes', value: ({ changes }) => changes?.map((change) => ({ ...change })) ?? null },
    value('verified'),
  ],
  // The action has an outcome that is not "done" beside it, `who` is made of the others, and the changes follow.
  redundant: [
    ...['outcome', 'targetType', 'targetName', 'ciIdentity', 'osUser', 'host', 'declaredAs', 'changes'],
    ...['pid', 'requestId', 'programVersion', 'previousHash', 'hash'],
  ],
}

/** What an event changed, as lines for people. */
export function changeLines({ changes }: ShownEvent): readonly Cell[] {
  if (changes === null) return [['the log does not hold the values before and after this event', 'warn']]
  if (changes.length === 0) return [['no field that is not secret was changed', 'dim']]
  return changes.flatMap(linesOf).map((line) => [line, 'plain'])
}

function linesOf({ field, before, after }: FieldChange): string[] {
  if (isObject(before) || isObject(after)) {
    const [was, is] = [before, after].map((side) => (isObject(side) ? side : {})) as [JsonObject, JsonObject]
    return [...new Set([...Object.keys(was), ...Object.keys(is)])]
      .filter((column) => JSON.stringify(was[column]) !== JSON.stringify(is[column]))
      .flatMap((column) =>
        linesOf({ field: `${field} ${column}`, before: was[column] ?? null, after: is[column] ?? null }),
      )
  }
  const isHash = (side: Json) => typeof side === 'string' && side.startsWith('hmac:')
  if (isHash(before) || isHash(after)) return [`${field} changed: the log keeps a hash of it alone`]
  return [`${field} ${JSON.stringify(before)} -> ${JSON.stringify(after)}`]
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

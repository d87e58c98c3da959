import { Command, Option } from '@commander-js/extra-typings'
import { checkFailed } from '../../../errors.ts'
import { wordsOf } from '../../../integration.ts'
import type { RowFinding } from '../../../operations/audit/rows.ts'
import type { Place } from '../../../operations/audit/values.ts'
import type { Problem, Verification } from '../../../operations/audit/verify.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples } from '../../input/arguments.ts'
import { readDocument } from '../../input/secret-input.ts'
import { plural } from '../../output/text.ts'
import type { Tone } from '../../output/tone.ts'
import { verificationView } from '../../views/audit.ts'

/** `integrations audit verify` */
export const command = (ctx: Context) =>
  declareOutput(new Command('verify'), ctx.output, verificationView)
    .summary('verify the integrity of the audit log and of current secrets')
    .description(
      'Verify the audit log with the audit key: every event is unchanged and none is missing; the log ends where the database says, and holds the last event that this machine saw; and the log explains the encryption mode and every current secret. Where the application may write secrets too, the secrets it wrote are listed and are not a problem; so are events that are dated more than 5 minutes before the previous event, because the clock of a machine or server was wrong. Changes nothing in the database. Exits with 8 when there are problems.',
    )
    .addOption(
      new Option(
        '--checkpoint <text>',
        'an earlier line of audit checkpoint, which must still hold; @FILE, or - for standard input',
      ),
    )
    .addHelpText(
      ...examples(
        'integrations audit verify',
        'integrations audit verify --checkpoint @checkpoint.txt -o json',
        'ssh safe cat checkpoint.txt | integrations audit verify --checkpoint -',
      ),
    )
    .action(async ({ checkpoint }) => {
      const { parseCheckpoint, verifyAudit } = await import('../../../operations/audit/verify.ts')
      const kept = checkpoint === undefined ? undefined : parseCheckpoint(await textOf(ctx, checkpoint))
      const found = await verifyAudit(await ctx.store(), ctx.keys(), kept)
      await ctx.output.report(report(found), () => ctx.output.one(verificationView, found))
      const { length } = found.problems
      if (length > 0)
        throw checkFailed(
          `the audit log has ${plural(length, 'problem')}`,
          'find out who could write to the database; replace the secrets concerned with integrations rotate, and record explained damage of the log with integrations audit acknowledge',
        )
    })

const textOf = (ctx: Context, given: string): Promise<string> | string => {
  if (given === '-') return readDocument(ctx, undefined, '--checkpoint')
  return given.startsWith('@') ? readDocument(ctx, given.slice(1), '--checkpoint') : given
}

/** What people read. */
function report({
  events,
  head,
  values,
  problems,
  acknowledged,
  byApplication,
  rowsByApplication,
  notRecorded,
  clockSteps,
}: Verification): [string, Tone][] {
  const counted = `${plural(events, 'event')} and ${plural(values, 'current secret')}`
  return [
    problems.length === 0
      ? [`audit log verified: ${counted}, up to ${head.seq} ${head.hash}`, 'good']
      : [`audit log not verified: ${counted} were read`, 'bad'],
    ...problems.map((one): [string, Tone] => [`${subject(one)}: ${one.problem}`, 'bad']),
    ...acknowledged.map(({ seq, problem, by, reason }): [string, Tone] => [
      `event ${seq}: ${problem}; acknowledged by event ${by}${reason === null ? '' : ` (${reason})`}`,
      'warn',
    ]),
    ...byApplication.map((place): [string, Tone] => [`${column(place)}: changed by the application`, 'warn']),
    ...rowsByApplication.map((row): [string, Tone] => [`${rowName(row)}: ${row.problem}; by the application`, 'warn']),
    ...(notRecorded > 0
      ? [
          [`${plural(notRecorded, 'row')} not recorded yet: integrations db migrate records them`, 'warn'] as [
            string,
            Tone,
          ],
        ]
      : []),
    ...clockSteps.map(({ seq, at, previousAt }): [string, Tone] => [
      `event ${seq}: dated ${at}, before the previous event (${previousAt}): a clock was wrong`,
      'warn',
    ]),
  ]
}

function subject(one: Problem): string {
  if ('seq' in one) return `event ${one.seq}`
  if (one.kind === 'mode') return `the encryption mode ${one.mode ?? 'undecided'}`
  if (one.kind === 'database') return 'the database'
  if (one.kind === 'trigger') return `the trigger ${one.trigger}`
  if (one.kind === 'damage') return one.table
  if (one.kind === 'row') return rowName(one)
  return one.kind === 'key' ? `the key ${one.keyId}` : column(one)
}

const rowName = ({ type, name, id }: RowFinding) => `the ${type} ${name} (${id})`

const column = ({ id, name, field }: Place) => `${name} (${id}), ${wordsOf(field)}`

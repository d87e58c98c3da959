import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { badInput, checkFailed } from '../../errors.ts'
import { findingCodes, type Severity, severities } from '../../operations/report/finding.ts'
import { type Counts, report } from '../../operations/report/report.ts'
import { displayUrl } from '../../store/database/url.ts'
import type { Context } from '../context.ts'
import { reportFormats } from '../host.ts'
import { declareOutput, examples, ownFormatsOf } from '../input/arguments.ts'
import { filterOf, withFilters } from '../input/filters.ts'
import { findingOption } from '../input/finding-code.ts'
import { duration } from '../input/time.ts'
import { Output } from '../output/output.ts'
import { plural } from '../output/text.ts'
import { writerOf } from '../report/formats.ts'
import { addToJobSummary } from '../report/job-summary.ts'
import { writeWhole } from '../report/out-file.ts'
import { type Find, printRows, printText } from '../report/print.ts'
import { findingView, ignoredSentence, sentenceOf } from '../views/report.ts'
import { command as ignore } from './report/ignore.ts'
import { command as ignored } from './report/ignored.ts'
import { command as unignore } from './report/unignore.ts'

const codesHelp = Object.entries(findingCodes)
  .map(([code, [severity, meaning]]) => `  ${code.padEnd(27)}${severity.padEnd(9)}${meaning}`)
  .join('\n')

const formatsHelp = `  html         a page for a browser, which can be sent: one file
  markdown     the worst first, cut at 60,000 characters
  junit        a test for each finding: it fails where --fail-on says so, and is skipped else
  openmetrics  gauges for Prometheus: findings by code, and when access tokens expire and integrations were last used`

/** `integrations report` */
export const command = (ctx: Context) => {
  const command = declareOutput(new Command('report'), ctx.output, findingView).description(
    'Tell in one list what is wrong with integrations, what will be, and what is not known. Needs no keys and changes nothing; all of it is of one moment. A table shows the worst first, and 20 findings of each code; other formats show all, in the order of ids. Exits with 8 when there is a finding of --fail-on or worse. In a GitHub job, the summary of the job gets the report as markdown, whatever the format (GITHUB_STEP_SUMMARY).',
  )
  ownFormatsOf.set(command, reportFormats)
  for (const subcommand of [ignore, ignored, unignore]) command.addCommand(subcommand(ctx))
  command.hook('preSubcommand', refuseOptions)
  return withFilters(command, { expiring: false, finding: false })
    .addOption(findingOption())
    .addOption(
      new Option('--fail-on <severity>', 'the least severity that is a failure')
        .choices([...severities, 'never'])
        .default('error' as const),
    )
    .addOption(
      new Option(
        '--new-since <duration>',
        'only what came true within this time, for a job that tells each finding once; errors and warnings whose beginning is not known are told each time',
      ).argParser(duration),
    )
    .addOption(new Option('--out <file>', 'write to a file, whole or not at all, in place of standard output (-)'))
    .addHelpText('after', `\nFormats besides those of every command:\n${formatsHelp}`)
    .addHelpText('after', `\nFindings:\n${codesHelp}`)
    .addHelpText(
      ...examples(
        'integrations report',
        'integrations report --platform slack --fail-on unknown -o json',
        'integrations report --new-since 25h -o jsonl',
        'integrations report -o markdown --out report.md',
      ),
    )
    .action(async ({ failOn, newSince, finding, out = '-', ...filters }) => {
      const failing = failOn === 'never' ? [] : severities.slice(0, severities.indexOf(failOn) + 1)
      const own = reportFormats.find((format) => format === ctx.options.output)
      if (own && ctx.options.fields) throw badInput(`-o ${own} has no fields to choose`, 'leave --fields out')
      const { env, argv, stderr, cwd } = ctx.host
      const { GITHUB_STEP_SUMMARY: summary } = env
      const database = ctx.database()
      const writing = {
        failing,
        database: displayUrl(database),
        limits: { ...filters, finding, newSince },
        warn: (text: string) => ctx.output.warn(text),
      }
      const forJob = summary ? await writerOf('markdown', writing) : undefined
      let counts: Counts | undefined
      let isFiltered = false
      const print = async (output: Output) => {
        // A database that is made here would have a job that names none look healthy for ever.
        const store = await ctx.store({ readOnly: true })
        const filter = await filterOf(store, filters)
        isFiltered = Object.keys(filter).length > 0
        const find: Find = async (emit, writer) => {
          counts = await report(store, {
            filter,
            codes: finding,
            newWithinMs: newSince,
            emit: async (findings) => {
              forJob?.find(findings)
              await emit(findings)
            },
            see: writer?.see,
            lastChanges: writer?.lastChanges,
          })
          return counts
        }
        return own
          ? printText(output, find, await writerOf(own, writing))
          : printRows(output, find, { ids: ctx.options.output === 'id' })
      }
      await (out === '-'
        ? print(ctx.output)
        : writeWhole(out, { cwd: cwd(), database }, (stdout) =>
            print(new Output({ env, argv, stderr, stdout }, () => ctx.options)),
          ))
      if (counts === undefined) return
      if (summary && forJob) addToJobSummary(summary, forJob.text(counts), ctx.output)
      // A misspelt owner or tag is not health.
      if (isFiltered && counts.integrations === 0) ctx.output.warn('no integration matches the filter')
      conclude(ctx, counts, failing)
    })
}

/** Refuses options of the report with a subcommand, which commander would take, and nothing would heed. @throws BAD_INPUT */
function refuseOptions(report: CommandUnknownOpts, subcommand: CommandUnknownOpts): void {
  const given = report.options.find((option) => report.getOptionValueSource(option.attributeName()) === 'cli')
  if (given)
    throw badInput(
      `${given.long} has no effect on ${subcommand.name()}`,
      `leave it out: integrations report ${subcommand.name()} --help lists the options`,
    )
}

function conclude({ output }: Context, counts: Counts, failing: readonly Severity[]): void {
  if (counts.undated.told > 0)
    output.note(
      `told each time, as it is not known since when they are true: ${plural(counts.undated.told, 'finding')}`,
    )
  if (counts.undated.leftOut > 0)
    output.note(`left out, as it is not known since when they are true: ${plural(counts.undated.leftOut, 'finding')}`)
  if (counts.ignored > 0) output.note(`${ignoredSentence(counts)}: integrations report ignored`)
  const sentence = sentenceOf(counts)
  if (failing.some((severity) => counts.findings[severity] > 0))
    throw checkFailed(sentence, 'what to type for each finding: integrations report --fields integration,next')
  output.note(sentence)
}

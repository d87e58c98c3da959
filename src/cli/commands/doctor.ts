import { dirname } from 'node:path'
import { Command } from '@commander-js/extra-typings'
import packageJson from '../../../package.json' with { type: 'json' }
import { checkFailed, is } from '../../errors.ts'
import { type Check, checkContents, checkStatus, failed } from '../../operations/doctor/checks.ts'
import { readableByOthers } from '../../store/database/private-files.ts'
import type { OpenOptions } from '../../store/open.ts'
import { findCompletion } from '../completion/installed.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples } from '../input/arguments.ts'
import { plural } from '../output/text.ts'
import type { Cell, Tone } from '../output/tone.ts'
import type { View } from '../output/values.ts'
import { withOwnStore } from '../own-store.ts'
import { value } from '../views/cells.ts'

const tones: Record<Check['state'], Tone> = { ok: 'good', warning: 'warn', problem: 'bad', unknown: 'dim' }

/** How a check of `doctor` is shown. */
const checkView: View<Check> = {
  columns: [value('check'), value('state'), value('detail'), value('hint')],
  short: ['check', 'state', 'detail', 'hint'],
  id: ({ check }) => check,
}

/** What people read: a line a check, with its hint below. */
const checkLines = (checks: readonly Check[]): Cell[] =>
  checks.flatMap(({ check, state, detail, hint }): Cell[] => [
    [`${state.padEnd(7)}  ${check}: ${detail}`, tones[state]],
    ...(hint === null ? [] : [[`         hint: ${hint}`, 'plain'] satisfies Cell]),
  ])

/** `integrations doctor` */
export const command = (ctx: Context) =>
  declareOutput(new Command('doctor'), ctx.output, checkView)
    .description(
      'Check this machine and the database: the version of Node.js, folders and files that others could read or change, the state of the database and its tables, a pooler, clocks, versions, keys, the end of the audit log, and new tokens that a crash has left on this machine. Changes nothing. Each problem has a hint. Exits with 8 when there is a problem; a warning, and what cannot be told from here, is none.',
    )
    .addHelpText(...examples('integrations doctor', 'integrations doctor -o json --fields check,state,hint'))
    .action(async () => {
      const checks = [
        await checkNode(process.versions.node),
        checkFolders(ctx),
        ...(await checkDatabase(ctx)),
        ...checkCompletion(ctx),
      ]
      await ctx.output.report(checkLines(checks), () => ctx.output.rows(checkView, (emit) => emit(checks)))
      const [first, ...others] = checks.filter(({ state }) => state === 'problem')
      if (first) throw checkFailed(`${plural(1 + others.length, 'problem')} found`, first.hint ?? first.detail)
    })

async function checkNode(version: string): Promise<Check> {
  const { default: semver } = await import('semver')
  const { node } = packageJson.engines
  const check = 'node'
  if (semver.satisfies(version, node)) return { check, state: 'ok', detail: version, hint: null }
  return { check, state: 'problem', detail: `${version} is not supported`, hint: `install Node.js ${node}` }
}

/** Where new tokens are kept until they are in the database, and the ends of audit logs. */
function checkFolders(ctx: Context): Check {
  const check = 'folders'
  try {
    return { check, state: 'ok', detail: `${dirname(ctx.spool())} is private`, hint: null }
  } catch (error) {
    return failed(check, error, is(error, 'BAD_INPUT') ? 'warning' : 'problem')
  }
}

async function checkDatabase(ctx: Context): Promise<Check[]> {
  const checks: Check[] = []
  try {
    const options = ctx.storeOptions(false)
    // SQLite makes files beside it once it is open, which go away with this process.
    const readable = readableByOthers(options.database, options.me)
    const { readStatus } = await import('../../store/schema/status.ts')
    const status = await readStatus(options)
    checks.push(...checkStatus(options.database, status, await poolingOf(options)))
    if (readable && status.adopted && status.applicationWrites)
      checks.push({ check: 'files', state: 'warning', detail: readable.message, hint: readable.hint })
    if (status.reason) return checks
    const [source, version] = [ctx.keys(), packageJson.version]
    const contents = await withOwnStore(ctx, { wait: ctx.options.wait }, (store) =>
      checkContents(store, { source, version, spool: spoolOf(ctx) }),
    )
    return [...checks, ...contents]
  } catch (error) {
    return [...checks, failed('database', error)]
  }
}

async function poolingOf(options: OpenOptions) {
  const { readPooling } = await import('../../store/schema/pooling.ts')
  return readPooling(options).catch(() => undefined)
}

function spoolOf(ctx: Context): string | undefined {
  try {
    return ctx.spool()
  } catch {
    // The check of the folders says why.
    return undefined
  }
}

/** Whether Tab completes commands, where a person may press it. */
function checkCompletion({ host: { env, stdout } }: Context): Check[] {
  const found = stdout.isTTY ? findCompletion(env) : undefined
  if (!found) return []
  const { shell, file } = found
  const check = 'completion'
  if (file !== undefined) return [{ check, state: 'ok', detail: file, hint: null }]
  return [{ check, state: 'unknown', detail: `not found for ${shell}`, hint: 'integrations completion --help' }]
}

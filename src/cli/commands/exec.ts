import { Command, Option } from '@commander-js/extra-typings'
import { childEnvironment } from '../../child-environment.ts'
import { badInput, IntegrationsError, shellWord } from '../../errors.ts'
import { entriesOf, type IntegrationView } from '../../integration.ts'
import { type ReadSecrets, readSecrets, recordExecResult } from '../../operations/secrets/read.ts'
import { variableOf } from '../../operations/secrets/values.ts'
import { commandLine } from '../../operations/texts.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { Context } from '../context.ts'
import { each, examples, refArgument, secretField, secretFlags } from '../input/arguments.ts'
import { checkMask, mask, maskOption } from '../output/mask.ts'
import { withOwnStore } from '../own-store.ts'

const names = platforms
  .map((platform: Platform) =>
    entriesOf(platform.secrets)
      .map(([field]) => variableOf(platform, field))
      .join(', '),
  )
  .join('; ')

/** `integrations exec` */
export const command = (ctx: Context) =>
  new Command('exec')
    .usage('[options] <ref> -- <command> [args...]')
    .description(
      'Run a command with the secrets of an integration in its environment. The command has the terminal and the signals to itself; its exit code becomes the exit code of exec (128 plus the number of the signal that ended the command). exec itself exits with 125 when it fails before starting the command, 126 when the command cannot be started, and 127 when the command does not exist. The audit log records that the secrets were read before the command starts, and afterwards whether it exited with 0 (done) or not (failed).',
    )
    .addArgument(refArgument())
    .argument('<command>', 'the command, after --')
    .argument('[args...]', 'the arguments of the command')
    // The options of a command without -- before it are not unknown: the hint shows them after --.
    .allowUnknownOption(!ctx.host.argv.includes('--'))
    .addOption(
      new Option('--field <secret>', 'a secret to pass on; may be given several times (default: all that are set)')
        .choices(secretFlags)
        .argParser(each(secretField)),
    )
    .addOption(new Option('--env-prefix <prefix>', 'the prefix of the variable names, in place of SLACK_ and so on'))
    .addOption(maskOption())
    .addHelpText(
      'after',
      `\nVariables:\n  ${names}\n  Left out of the command's environment: INTEGRATIONS_*, DATABASE_URL, and PostgreSQL's variables that name\n  a database or open it (PGHOST, PGPASSWORD), which lead to all secrets.\n  A command with a database of its own: -- env DATABASE_URL="$OTHER" command`,
    )
    .addHelpText(
      ...examples(
        'integrations exec Acme/support -- npm start',
        'integrations exec Acme/support --field access-token --env-prefix APP_ -- node notify.js',
      ),
    )
    .action(async (ref, command, args, { field: fields, envPrefix, mask: system }) => {
      const [program, ...rest] = commandToRun(ctx.host.argv, ref, [command, ...args])
      const prefix = envPrefix === undefined ? undefined : checkedPrefix(envPrefix)
      checkMask(ctx, system)
      const given = await readSecrets(await ctx.store(), ref, { fields: fields ?? [], action: 'secret.exec' })
      await mask(ctx, system, [...given.secrets.values()])
      const variables = [...given.secrets].map(([field, secret]) => [
        variableOf(given.platform, field, prefix),
        secret.reveal(),
      ])
      // The command may run for days: the database is not needed for it.
      await ctx.close()
      const { runCommand } = await import('../run-command.ts')
      try {
        ctx.exitCode = await runCommand(program, rest, {
          ...childEnvironment(ctx.host.env, { argv: ctx.host.argv, forApplication: true }),
          ...Object.fromEntries(variables),
        })
      } catch (error) {
        await recordEnd(ctx, given, 'failed')
        throw error
      }
      await recordEnd(ctx, given, ctx.exitCode === 0 ? 'done' : 'failed')
    })

/**
 * The command to run, and its arguments, which are behind a -- of their own.
 *
 * @param operands what is behind the reference
 * @throws BAD_INPUT
 */
function commandToRun(argv: readonly string[], ref: string, operands: readonly string[]): [string, ...string[]] {
  // Behind a reference that begins with -, and is behind -- itself, the second one is among the operands.
  const isSecond = ref.startsWith('-') && argv.at(-operands.length - 2) === '--' && operands[0] === '--'
  const [program = '--', ...rest] = isSecond ? operands.slice(1) : operands
  if (program !== '--' && (isSecond || argv.at(-operands.length - 1) === '--')) return [program, ...rest]
  const words = operands.slice(operands.findIndex((word) => word !== '--') >>> 0)
  throw badInput(
    'exec needs -- once, between the integration and the command',
    [commandLine('exec', [ref]), '--', ...(words.length > 0 ? words.map(shellWord) : ['<command>'])].join(' '),
  )
}

/** How long a busy database may delay the command's exit code. */
const maxWaitMs = 5000

/** Records how the command ended. That its exit code is the answer stays so, whatever comes of this. */
async function recordEnd(
  ctx: Context,
  given: { readonly integration: IntegrationView; readonly secrets: ReadSecrets },
  outcome: 'done' | 'failed',
): Promise<void> {
  try {
    const wait = Math.min(ctx.options.wait, maxWaitMs)
    await withOwnStore(ctx, { wait }, (store) => recordExecResult(store, given, outcome))
  } catch (error) {
    const why = error instanceof IntegrationsError ? error.message : 'something unexpected went wrong'
    ctx.output.warn(`the audit log does not record how the command ended: ${why}`)
  }
}

function checkedPrefix(prefix: string): string {
  if (!/^(?:[A-Za-z_]\w*)?$/.test(prefix))
    throw badInput('--env-prefix cannot begin the name of a variable', 'use letters, digits and _, as in APP_SLACK_')
  return prefix
}

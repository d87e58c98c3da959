import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { badInput } from '../errors.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { addCommand } from './commands/add.ts'
import { completeCommand } from './commands/complete.ts'
import { completionCommand } from './commands/completion.ts'
import { configCommand } from './commands/config.ts'
import { dbCommand } from './commands/db.ts'
import { helpCommand } from './commands/help.ts'
import { initCommand } from './commands/init.ts'
import { listCommand } from './commands/list.ts'
import { removeCommand } from './commands/remove.ts'
import { rotateCommand } from './commands/rotate.ts'
import { disableCommand, enableCommand, toggleCommand } from './commands/set-active.ts'
import { showCommand } from './commands/show.ts'
import { updateCommand } from './commands/update.ts'
import { usersCommand } from './commands/users.ts'
import { workspacesCommand } from './commands/workspaces.ts'
import type { Context } from './context.ts'
import { formats } from './output.ts'
import { duration } from './time.ts'

/** Every command, in the order of the help, under its heading. */
const commands: readonly (readonly [heading: string, ...commands: ((ctx: Context) => CommandUnknownOpts)[]])[] = [
  ['Integrations', addCommand, listCommand, showCommand, updateCommand, rotateCommand, enableCommand, disableCommand, toggleCommand, removeCommand],
  ['Config', configCommand],
  ['People and places', workspacesCommand, usersCommand],
  ['Database and set-up', initCommand, dbCommand, completionCommand, helpCommand],
]

/** The whole command line. */
export function program(ctx: Context): CommandUnknownOpts {
  const root = new Command('integrations')
    .description("Manage the third-party credentials that an application keeps in its database.")
    .version(packageJson.version, '-V, --version', 'print the version')
    .addOption(new Option('-d, --database <url>', 'file: or postgresql: URL (default: DATABASE_URL, else an embedded database)'))
    .addOption(new Option('-o, --output <format>', 'form of the answer (default: table on a terminal, else tab-separated text)').choices(formats))
    .addOption(new Option('--fields <fields>', 'the fields to show, separated by commas').argParser(fieldList))
    .addOption(new Option('--no-input', 'never ask anything'))
    .addOption(new Option('--wait <duration>', 'how long to go on when the database is busy').argParser(duration).default(30_000, '30s'))
    .helpOption('-h, --help', 'print help')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .hook('preAction', (_, command) => {
      ctx.options = command.optsWithGlobals() as unknown as Context['options']
    })
  for (const [heading, ...group] of commands) {
    root.commandsGroup(`${heading}:`)
    for (const build of group) root.addCommand(build(ctx))
  }
  root.addCommand(completeCommand(ctx), { hidden: true })
  reportUsage(ctx, root)
  return root
}

/** A command line that cannot be understood is an error like every other, also of a subcommand, which inherits nothing by itself. */
function reportUsage(ctx: Context, root: CommandUnknownOpts, command = root, path = root.name()): void {
  command.configureOutput({ outputError: () => {} }).exitOverride((error) => {
    if (error.exitCode === 0 || error.code === 'commander.help') throw error
    ctx.options = root.opts() as unknown as Context['options']
    // "error: option … is invalid. Write …" or "error: unknown …\n(Did you mean …?)"
    const [, message = '', advice] = /^error: (.*?)(?:\. |\n\(|$)(.*?)[.)]*$/.exec(error.message) ?? []
    throw badInput(message.replace(/\.$/, ''), advice ? `${advice.charAt(0).toLowerCase()}${advice.slice(1)}` : `${path} --help`)
  })
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    reportUsage(ctx, root, child, `${path} ${child.name()}`)
  }
}

function fieldList(text: string): string[] {
  const fields = text.split(',').map((field) => field.trim())
  if (fields.some((field) => field === '')) throw new InvalidArgumentError('Write field names with commas between them, as in id,name.')
  return fields
}

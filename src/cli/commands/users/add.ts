import { Command, Option } from '@commander-js/extra-typings'
import { addUser } from '../../../operations/directory/users.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { outcomeOf } from '../../output/values.ts'
import { userView } from '../../views/directory.ts'

/** `integrations users add` */
export const command = (ctx: Context) =>
  declareChange(new Command('add'), ctx.output, userView)
    .description('Add a user.')
    .argument('<email>', 'e-mail address, unique')
    .addOption(new Option('--name <name>', 'name of the person'))
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations users add ana@example.com --name "Ana Silva"'))
    .action(async (email, { name, dryRun }) => {
      const user = await addUser(await ctx.store(), { email, name: name ?? null }, { dryRun })
      await ctx.output.change(userView, user, {
        outcome: outcomeOf(true, dryRun),
        sentence: dryRun ? `would add the user ${email}` : `added the user ${email}, id ${user.id}`,
      })
    })

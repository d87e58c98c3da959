import { Command, Option } from '@commander-js/extra-typings'
import { addUser, removeUser } from '../../operations/directory/users.ts'
import { findUser } from '../../operations/find.ts'
import { userSorts } from '../../store/tables/sorts.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples, page, pageOptions } from '../input/arguments.ts'
import { confirmOption, confirmRemoval } from '../input/consent.ts'
import { printRows } from '../output/listing.ts'
import { userView } from '../views/integration.ts'

/** `integrations users` */
export const usersCommand = (ctx: Context) =>
  new Command('users')
    .description(
      'Users, whom integrations were created by. In an adopted database the application owns them, and they can only be read here.',
    )
    .addCommand(addCommand(ctx))
    .addCommand(listCommand(ctx))
    .addCommand(removeCommand(ctx))

const addCommand = (ctx: Context) =>
  declareOutput(
    new Command('add')
      .description('Add a user.')
      .argument('<email>', 'e-mail address, unique')
      .addOption(new Option('--name <name>', 'name of the person'))
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations users add ana@example.com --name "Ana Silva"')),
    ctx.output,
    userView,
  ).action(async (email, { name, dryRun }) => {
    const user = await addUser(await ctx.store(), email, name ?? null, { dryRun })
    await ctx.output.change(
      userView,
      user,
      dryRun ? `would add the user ${email}` : `added the user ${email}, id ${user.id}`,
    )
  })

const listCommand = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(userSorts)
  const command = new Command('list')
    .description('List users.')
    .addOption(new Option('--email <text>', 'with this text in the address, taken literally, ASCII case ignored'))
    .addOption(sort)
    .addOption(limit)
    .addOption(cursor)
    .addOption(all)
    .addHelpText('after', examples('integrations users list --email @example.com'))
  return declareOutput(command, ctx.output, userView).action(async (options) => {
    const filter = options.email === undefined ? {} : { emailContains: options.email }
    await printRows(ctx, userView, page(options, ctx.output), {
      list: (db, wanted, emit) => db.users.list(filter, wanted, emit),
      count: (db, wanted) => db.users.count(filter, wanted),
    })
  })
}

const removeCommand = (ctx: Context) =>
  declareOutput(
    new Command('remove')
      .description('Remove a user. Integrations they created stay, without a creator.')
      .argument('<user>', 'id or e-mail address of the user')
      .addOption(confirmOption())
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations users remove ana@example.com --confirm ana@example.com')),
    ctx.output,
    userView,
  ).action(async (ref, { confirm, dryRun }) => {
    const store = await ctx.store()
    const shown = await store.read((db) => findUser(db, ref))
    if (!dryRun)
      await confirmRemoval(ctx, shown.email, confirm, `This removes ${shown.email}; integrations they created stay.`)
    const removed = await removeUser(store, shown.id, { dryRun })
    await ctx.output.change(userView, removed, `${dryRun ? 'would remove' : 'removed'} the user ${removed.email}`)
  })

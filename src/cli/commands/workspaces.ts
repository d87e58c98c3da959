import { Command, Option } from '@commander-js/extra-typings'
import { shellWord } from '../../errors.ts'
import { addWorkspace, removeWorkspace, renameWorkspace } from '../../operations/directory/workspaces.ts'
import { findWorkspace } from '../../operations/find.ts'
import { workspaceSorts } from '../../store/tables/sorts.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples, page, pageOptions } from '../input/arguments.ts'
import { confirmOption, confirmRemoval } from '../input/consent.ts'
import { printRows } from '../output/listing.ts'
import { workspaceView } from '../views/integration.ts'

const workspaceArgument = '<workspace>'
const workspaceHelp = 'id or name of the workspace'

/** `integrations workspaces` */
export const workspacesCommand = (ctx: Context) =>
  new Command('workspaces')
    .description(
      'Workspaces, which integrations belong to. In an adopted database the application owns them, and they can only be read here.',
    )
    .addCommand(addCommand(ctx))
    .addCommand(listCommand(ctx))
    .addCommand(showCommand(ctx))
    .addCommand(renameCommand(ctx))
    .addCommand(removeCommand(ctx))

const addCommand = (ctx: Context) =>
  declareOutput(
    new Command('add')
      .description('Add a workspace.')
      .argument('<name>', 'its name, unique')
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations workspaces add Acme')),
    ctx.output,
    workspaceView,
  ).action(async (name, { dryRun }) => {
    const workspace = await addWorkspace(await ctx.store(), name, { dryRun })
    await ctx.output.change(
      workspaceView,
      workspace,
      dryRun ? `would add the workspace ${name}` : `added the workspace ${name}, id ${workspace.id}`,
      dryRun ? [] : [`integrations add --workspace ${shellWord(workspace.id)}`],
    )
  })

const listCommand = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(workspaceSorts)
  const command = new Command('list')
    .description('List workspaces.')
    .addOption(new Option('--name <text>', 'with this text in the name, taken literally, ASCII case ignored'))
    .addOption(sort)
    .addOption(limit)
    .addOption(cursor)
    .addOption(all)
    .addHelpText('after', examples('integrations workspaces list --sort=-integrations'))
  return declareOutput(command, ctx.output, workspaceView).action(async (options) => {
    const filter = options.name === undefined ? {} : { nameContains: options.name }
    await printRows(ctx, workspaceView, page(options, ctx.output), {
      list: (db, wanted, emit) => db.workspaces.list(filter, wanted, emit),
      count: (db, wanted) => db.workspaces.count(filter, wanted),
    })
  })
}

const showCommand = (ctx: Context) =>
  declareOutput(
    new Command('show')
      .description('Show one workspace.')
      .argument(workspaceArgument, workspaceHelp)
      .addHelpText('after', examples('integrations workspaces show Acme')),
    ctx.output,
    workspaceView,
  ).action(async (ref) => {
    const store = await ctx.store()
    await ctx.output.one(workspaceView, await store.read((db) => findWorkspace(db, ref)))
  })

const renameCommand = (ctx: Context) =>
  declareOutput(
    new Command('rename')
      .description('Give a workspace another name.')
      .argument(workspaceArgument, workspaceHelp)
      .argument('<name>', 'the new name')
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations workspaces rename Acme "Acme Inc."')),
    ctx.output,
    workspaceView,
  ).action(async (ref, name, { dryRun }) => {
    const workspace = await renameWorkspace(await ctx.store(), ref, name, { dryRun })
    await ctx.output.change(workspaceView, workspace, `${dryRun ? 'would rename' : 'renamed'} the workspace to ${name}`)
  })

const removeCommand = (ctx: Context) =>
  declareOutput(
    new Command('remove')
      .description('Remove a workspace with every integration in it. Nothing of them is kept.')
      .argument(workspaceArgument, workspaceHelp)
      .addOption(confirmOption())
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations workspaces remove Acme --confirm Acme')),
    ctx.output,
    workspaceView,
  ).action(async (ref, { confirm, dryRun }) => {
    const store = await ctx.store()
    const shown = await store.read((db) => findWorkspace(db, ref))
    const what = `${shown.name} and ${shown.integrations} integration${shown.integrations === 1 ? '' : 's'}`
    if (!dryRun) await confirmRemoval(ctx, shown.name, confirm, `This removes ${what} in it; nothing of them is kept.`)
    const asked = confirm === undefined && !dryRun
    const removed = await removeWorkspace(store, shown.id, {
      dryRun,
      ...(asked ? { integrations: shown.integrations } : {}),
    })
    await ctx.output.change(workspaceView, removed, `${dryRun ? 'would remove' : 'removed'} ${what}`)
  })

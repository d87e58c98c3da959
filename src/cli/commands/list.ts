import { Command, Option } from '@commander-js/extra-typings'
import type { SecretField } from '../../integration.ts'
import { findUser, findWorkspace } from '../../operations/find.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { IntegrationFilter } from '../../store/integrations.ts'
import { integrationSorts } from '../../store/sorts.ts'
import { answers, examples, page, pageOptions, platformOf } from '../arguments.ts'
import type { Context } from '../context.ts'
import { printRows } from '../listing.ts'
import { duration } from '../time.ts'
import { integrationView } from '../views.ts'

/** `integrations list` */
export const listCommand = (ctx: Context) => {
  const [sort, limit, cursor, all] = pageOptions(integrationSorts)
  const command = new Command('list')
    .description('List integrations. Filters combine: a row has to meet all of them.')
    .addOption(new Option('--workspace <workspace>', 'in this workspace (id or name)'))
    .addOption(new Option('--platform <platform>', 'of this platform'))
    .addOption(
      new Option('--active', 'active ones; one that was never switched either way is active').conflicts('inactive'),
    )
    .addOption(new Option('--inactive', 'inactive ones'))
    .addOption(new Option('--name <text>', 'with this text in the name, taken literally, ASCII case ignored'))
    .addOption(new Option('--created-by <user>', 'created by this user (id or e-mail address)'))
    .addOption(
      new Option(
        '--expiring <duration>',
        'whose token ends within this time, has ended, or whose end nobody knows',
      ).argParser(duration),
    )
    .addOption(new Option('--expired', 'whose token has ended; says on stderr how many ends are unknown'))
    .addOption(
      new Option(
        '--no-expiry',
        'without a date at which a token ends: it never does, nobody knows, or there is no token',
      ),
    )
    .addOption(new Option('--stale <duration>', 'not used for this long, or never').argParser(duration))
    .addOption(new Option('--never-used', 'never used'))
    .addOption(
      new Option('--missing-secret', 'without a secret that the platform needs, or of which that is not known'),
    )
    .addOption(sort)
    .addOption(limit)
    .addOption(cursor)
    .addOption(all)
    .addHelpText(
      'after',
      examples(
        'integrations list --platform slack --expiring 7d',
        'integrations list --stale 30d -o json --fields id,name,lastUsedAt',
        'integrations list --all -o jsonl',
      ),
    )
  return answers(command, ctx.output, integrationView).action(async (options) => {
    const store = await ctx.store()
    const now = Date.now()
    const at = (milliseconds: number) => new Date(now + milliseconds).toISOString()
    const { workspace, createdBy, name, platform } = options
    // The application may have platforms that this version does not know.
    if (platform !== undefined && !(await store.read((rows) => rows.integrations.count({ platform }))))
      platformOf(platform)
    const filter: IntegrationFilter = {
      ...(workspace === undefined
        ? {}
        : { workspaceId: (await store.read((rows) => findWorkspace(rows, workspace))).id }),
      ...(createdBy === undefined ? {} : { createdBy: (await store.read((rows) => findUser(rows, createdBy))).id }),
      ...(platform === undefined ? {} : { platform }),
      ...(name === undefined ? {} : { nameContains: name }),
      ...(options.active ? { active: true } : options.inactive ? { active: false } : {}),
      ...(options.expiring === undefined ? {} : { expiringBefore: at(options.expiring) }),
      ...(options.expired ? { expiredBefore: at(0) } : {}),
      ...(options.expiry ? {} : { noExpiry: true }),
      ...(options.stale === undefined ? {} : { unusedSince: at(-options.stale) }),
      ...(options.neverUsed ? { neverUsed: true } : {}),
      ...(options.missingSecret ? { missingOneOf: requiredSecrets() } : {}),
    }
    await printRows(ctx, integrationView, page(options, ctx.output), {
      list: (rows, wanted, emit) => rows.integrations.list(filter, wanted, emit),
      count: (rows, wanted) => rows.integrations.count(filter, wanted),
    })
    if (options.expired) {
      const { expiredBefore: _, ...others } = filter
      const unknown = await store.read((rows) => rows.integrations.count({ ...others, unknownExpiry: true }))
      if (unknown > 0)
        ctx.output.note(`of ${unknown} more, nobody knows when the token ends: integrations list --no-expiry`)
    }
  })
}

const requiredSecrets = () =>
  Object.fromEntries(
    platforms.map(({ id, secrets }) => [
      id,
      Object.entries(secrets)
        .filter(([, { required }]) => required)
        .map(([field]) => field as SecretField),
    ]),
  )

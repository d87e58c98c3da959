import { Command } from '@commander-js/extra-typings'
import { prepareKeys } from '../../operations/keys/keys.ts'
import type { Database } from '../../store/database/url.ts'
import type { Context } from '../context.ts'
import { declareOutput, dryRunOption, examples } from '../input/arguments.ts'
import { databaseView } from '../views/integration.ts'
import { rolesCommand } from './db/roles.ts'

/** `integrations db` */
export const dbCommand = (ctx: Context) =>
  new Command('db')
    .description(
      'The database itself. An embedded default one makes and updates itself; any other does so when it is told to.',
    )
    .addCommand(statusCommand(ctx))
    .addCommand(migrateCommand(ctx))
    .addCommand(adoptCommand(ctx))
    .addCommand(rolesCommand(ctx))

const statusCommand = (ctx: Context) =>
  declareOutput(
    new Command('status')
      .summary('show how the database stands, and what is in it')
      .description(
        "Show where the database is, how it stands to this program, and what is in it. Changes nothing, and works on a database that is empty, behind, ahead or foreign (an application's, which this program has never been in).",
      )
      .addHelpText(
        'after',
        examples('integrations db status', 'integrations db status -o json --fields state,migrationsPending'),
      ),
    ctx.output,
    databaseView,
  ).action(async () => {
    const [{ readStatus }, { refusalFor }] = await Promise.all([
      import('../../store/schema/status.ts'),
      import('../../store/schema/ready.ts'),
    ])
    const status = await readStatus(ctx.storeOptions(false))
    await ctx.output.one(databaseView, status)
    const reason = refusalFor(ctx.database(), status)
    if (!reason) return
    ctx.output.note(reason.message)
    ctx.output.note(`hint: ${reason.hint}`)
  })

const migrateCommand = (ctx: Context) =>
  declareOutput(
    new Command('migrate')
      .summary('bring the database up to date')
      .description(
        "Bring the database up to date. One that is stays as it is; one whose tables are an application's is refused, for db adopt to take over.",
      )
      .addOption(dryRunOption())
      .addHelpText(
        'after',
        examples('integrations db migrate', 'integrations db migrate --database file:./integrations.db'),
      ),
    ctx.output,
    databaseView,
  ).action(async ({ dryRun }) => {
    const [{ readStatus }, { migrateDatabase }] = await Promise.all([
      import('../../store/schema/status.ts'),
      import('../../store/schema/ready.ts'),
    ])
    const applied = await migrateDatabase(ctx.storeOptions(false), dryRun)
    if (!dryRun) await prepareKeys(await ctx.store())
    const status = await readStatus(ctx.storeOptions(false))
    await ctx.output.change(
      databaseView,
      status,
      applied.length === 0
        ? `${status.url} is up to date already`
        : `${dryRun ? 'would apply' : 'applied'} to ${status.url}: ${applied.join(', ')}`,
    )
  })

const adoptCommand = (ctx: Context) =>
  declareOutput(
    new Command('adopt')
      .summary("take over an application's database")
      .description(
        "Take over an application's database: compare its tables workspaces, users and integrations with what this program expects, and add this program's own tables beside them. Nothing of the application's is altered. From then on workspaces and users can only be read here.",
      )
      .addOption(dryRunOption())
      .addHelpText(
        'after',
        examples(
          'DATABASE_URL=postgresql://… integrations db adopt --dry-run',
          'DATABASE_URL=postgresql://… integrations db adopt',
        ),
      ),
    ctx.output,
    databaseView,
  ).action(async ({ dryRun }) => {
    const [{ readStatus }, { adoptDatabase }] = await Promise.all([
      import('../../store/schema/status.ts'),
      import('../../store/schema/adopt.ts'),
    ])
    const { done, tables, applicationMigrations } = await adoptDatabase(ctx.storeOptions(false), dryRun)
    const status = await readStatus(ctx.storeOptions(false))
    if (!dryRun) await prepareKeys(await ctx.store())
    if (!done)
      return ctx.output.change(
        databaseView,
        status,
        `${status.url} is ${status.adopted ? 'adopted' : "this program's own"} already`,
      )
    await ctx.output.change(
      databaseView,
      status,
      `${dryRun ? 'would adopt' : 'adopted'} ${status.url}: the application goes on owning workspaces, users and integrations`,
    )
    if (status.provider === 'sqlite')
      ctx.output.note(
        'on SQLite, columns are of the types that this program makes itself (TEXT, DATETIME, BOOLEAN, JSONB); the file keeps a write-ahead log from then on',
      )
    for (const line of leaveAlone(ctx.database(), tables)) ctx.output.note(line)
    if (applicationMigrations.length > 0)
      ctx.output.warn(
        `_prisma_migrations holds ${applicationMigrations.length} of the application's own migrations beside ours: its "prisma migrate dev" will miss ours in its folder and ask to reset the database, which deletes everything in it; "prisma migrate deploy" goes on working`,
      )
  })

/** How the application's own migration tool is told of the tables it did not make. */
function leaveAlone(database: Database, tables: readonly string[]): string[] {
  const external = tables.map((table) => `'${database.provider === 'postgresql' ? `${database.schema}.` : ''}${table}'`)
  return [
    "so that the application's migration tool does not drop the tables of this program:",
    `  prisma.config.ts   experimental: { externalTables: true }, tables: { external: [${external.join(', ')}] }`,
    `  drizzle.config.ts  tablesFilter: ['!integration_*', '!_prisma_migrations']`,
  ]
}

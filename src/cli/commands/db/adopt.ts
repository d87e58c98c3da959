import { Command } from '@commander-js/extra-typings'
import { recordStates } from '../../../operations/audit/record-states.ts'
import { prepareKeys } from '../../../operations/keys/keys.ts'
import type { JsonSchema } from '../../../platforms/platform.ts'
import { platforms } from '../../../platforms/platforms.ts'
import { readableByOthers } from '../../../store/database/private-files.ts'
import type { Database, Provider } from '../../../store/database/url.ts'
import type { Adoption } from '../../../store/schema/adopt.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { databaseView, noteIndexes, noteReason } from '../../views/database.ts'

/** `integrations db adopt` */
export const command = (ctx: Context) =>
  declareChange(new Command('adopt'), ctx.output, databaseView)
    .summary("take over an application's database")
    .description(
      "Take over an application's database: compare its tables workspaces, users and integrations with what this program expects, and add this program's own tables beside them. The tables of the application are not altered. From then on this program only reads workspaces and users.",
    )
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'DATABASE_URL=postgresql://… integrations db adopt --dry-run',
        'DATABASE_URL=postgresql://… integrations db adopt',
      ),
    )
    .action(async ({ dryRun }) => {
      const { readStatus } = await import('../../../store/schema/status.ts')
      const { adoptDatabase } = await import('../../../store/schema/adopt.ts')
      const options = ctx.storeOptions(false)
      const readable = readableByOthers(options.database, options.me)
      const { provider } = options.database
      const { done, tables, applicationMigrations, warnings } = await adoptDatabase(options, {
        dryRun,
        filterKeys,
        announce: ({ filters, areViews }) => {
          ctx.output.note('what changes for the application:')
          const tables = areViews ? viewEffects : effects[provider]
          for (const text of [...tables, ...filterEffect(filters)]) ctx.output.note(`  ${text}`)
        },
      })
      const status = await readStatus(ctx.storeOptions(false))
      if (!dryRun) {
        const store = await ctx.store()
        await prepareKeys(store)
        await recordStates(store)
      }
      if (dryRun && readable && (done || (status.adopted && status.applicationWrites)))
        ctx.output.warn(`${readable.message}: ${readable.hint}`)
      if (!done) {
        await ctx.output.change(databaseView, status, {
          outcome: 'unchanged',
          sentence: `${status.url} is already ${status.adopted ? 'adopted' : "this program's own"}`,
        })
        return noteReason(ctx.output, status)
      }
      await ctx.output.change(databaseView, status, {
        outcome: outcomeOf(true, dryRun),
        sentence: `${dryRun ? 'would adopt' : 'adopted'} ${status.url}: the application still owns workspaces, users and integrations`,
      })
      for (const line of leaveAlone(ctx.database(), tables)) ctx.output.note(line)
      noteIndexes(ctx.output, options.database, status)
      for (const text of warnings)
        ctx.output.warn(`${text}: an integration is added only if a trigger fills the column`)
      if (applicationMigrations.length > 0)
        ctx.output.warn(
          `_prisma_migrations holds ${applicationMigrations.length} of the application's own migrations beside ours: its "prisma migrate dev" will miss ours in its folder and ask to reset the database, which deletes everything in it; "prisma migrate deploy" goes on working`,
        )
    })

/** What the application may notice, though its tables are as they were. */
const effects: { readonly [P in Provider]: readonly string[] } = {
  postgresql: [
    'TRUNCATE integrations and DROP TABLE integrations fail, because tables of this program refer to integrations: use DELETE, which removes their rows too, or CASCADE',
  ],
  sqlite: [
    'DROP TABLE integrations removes the rows of this program that refer to integrations, where PRAGMA foreign_keys is on',
    'the file uses a write-ahead log',
  ],
}

const viewEffects = [
  'no table of this program refers to the tables of the application: what is kept of an integration that the application deletes stays until integrations db sweep',
]

/** The keys of configs that choose events. */
const filterKeys = platforms.flatMap(({ config }) =>
  Object.entries<JsonSchema>(config.properties).flatMap(([key, { type }]) => (type === 'array' ? [key] : [])),
)

function filterEffect(filters: Adoption['filters']): string[] {
  if (filters.length === 0) return []
  const counts = filters.map(({ key, integrations }) => `${key} of ${plural(integrations, 'integration')}`)
  return [`endpoints that use the receiver handle only the events that configs choose: ${counts.join(', ')}`]
}

/** How the application's own migration tool is told of the tables it did not make. */
function leaveAlone(database: Database, tables: readonly string[]): string[] {
  const external = tables.map((table) => `'${database.provider === 'postgresql' ? `${database.schema}.` : ''}${table}'`)
  return [
    "so that the application's migration tool does not drop the tables of this program:",
    `  prisma.config.ts   experimental: { externalTables: true }, tables: { external: [${external.join(', ')}] }`,
    `  drizzle.config.ts  tablesFilter: ['!integration_*', '!_prisma_migrations']`,
  ]
}

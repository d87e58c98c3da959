import { Command } from '@commander-js/extra-typings'
import type { IntegrationView } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import type { Reader } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { declareOutput, examples, refArgument } from '../input/arguments.ts'
import { listedView, shownView } from '../views/integration.ts'

/** `integrations show` */
export const command = (ctx: Context) =>
  declareOutput(new Command('show'), ctx.output, listedView)
    .description('Show an integration. For its secrets, only metadata is shown: whether and when they were set.')
    .addArgument(refArgument())
    .addHelpText(
      ...examples('integrations show Acme/support', 'integrations show Acme/support -o json --fields config'),
    )
    .action(async (ref) => {
      const store = await ctx.store()
      const { integration, creator } = await store.read(async (db) => {
        const integration = await db.integrations.asListed(await findIntegration(db, ref))
        return { integration, creator: ctx.output.table() ? await addressOf(db, integration) : undefined }
      })
      await ctx.output.one(shownView(creator), integration)
    })

/** The e-mail address of who created an integration; undefined where that is not known. */
async function addressOf(db: Reader, { createdBy }: IntegrationView): Promise<string | undefined> {
  const [user] = createdBy === null ? [] : await db.users.match(createdBy)
  return user?.email
}

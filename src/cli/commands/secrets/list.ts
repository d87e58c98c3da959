import { Command } from '@commander-js/extra-typings'
import { flagOf, secretFields } from '../../../integration.ts'
import { listSecrets } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument } from '../../input/arguments.ts'
import { secretVersionView } from '../../views/secret.ts'

/** `integrations secrets list` */
export const command = (ctx: Context) =>
  declareOutput(new Command('list'), ctx.output, secretVersionView)
    .summary('list the versions of the secrets')
    .description(
      'List the stored versions of the secrets of an integration, newest first: until when each version is valid, and how often requests matched it. Tokens are given out, and not matched: their previous versions are kept here until the time shown, for secrets revert. Shows no value, and needs no key.',
    )
    .addArgument(refArgument())
    .addHelpText(
      ...examples(
        'integrations secrets list Acme/support',
        'integrations secrets list Acme/support -o json --fields field,state,lastMatchedAt',
      ),
    )
    .action(async (ref) => {
      const { integration, versions } = await listSecrets(await ctx.store(), ref)
      await ctx.output.rows(secretVersionView, (emit) => emit(versions), { paged: true })
      for (const field of secretFields)
        if (integration[field].set === null)
          ctx.output.note(
            `the ${flagOf(field)} may be set: the application writes it, and this program has not read it yet`,
          )
      ctx.output.noteIfEmpty(versions.length)
    })

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
      for (const field of secretFields) {
        const { set } = integration[field]
        const isRecorded = versions.some((version) => version.field === field && version.state === 'current')
        const name = `the ${flagOf(field)}`
        if (set === null)
          ctx.output.note(
            `${name} may be set: the application writes it, and the database role may not see whether it is there`,
          )
        if (set && !isRecorded)
          ctx.output.note(`${name} is set: the application has written it, and this program has not read it yet`)
        if (set === false && isRecorded) ctx.output.note(`${name} is not set any more: the application has removed it`)
      }
      ctx.output.noteIfEmpty(versions.length)
    })

import { Command } from '@commander-js/extra-typings'
import { badInput } from '../../../errors.ts'
import { flagOf } from '../../../integration.ts'
import { readSecrets } from '../../../operations/secrets/history.ts'
import type { Context } from '../../context.ts'
import { examples, refArgument, secretFieldArgument } from '../../input/arguments.ts'
import { printable } from '../../output/text.ts'

/** `integrations secrets reveal` */
export const command = (ctx: Context) =>
  new Command('reveal')
    .summary('print the current value of a secret')
    .description(
      'Print the current value of a secret and a newline. Access is recorded in the audit log first. To pass a secret to a program, prefer exec, which prints nothing.',
    )
    .addArgument(refArgument())
    .addArgument(secretFieldArgument())
    .addHelpText(
      ...examples(
        'integrations secrets reveal Acme/support webhook-secret --reason "entered at Slack"',
        'integrations secrets reveal Acme/support access-token -o json',
      ),
    )
    .action(async (ref, field) => {
      const { output: format = 'table', fields } = ctx.options
      // Before the value is read, and that recorded.
      if (format === 'csv' || format === 'id' || fields)
        throw badInput('a value is printed alone or as JSON', 'leave --fields out; leave -o out, or pass -o json')
      const { integration, secrets } = await readSecrets(await ctx.store(), ref, [field], 'secret.reveal')
      const value = secrets.get(field)?.reveal() ?? ''
      if (format !== 'table') return ctx.output.json({ id: integration.id, field: flagOf(field), value })
      await ctx.output.raw(`${ctx.host.stdout.isTTY ? printable(value) : value}\n`)
    })

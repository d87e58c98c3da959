import { Command } from '@commander-js/extra-typings'
import { flagOf } from '../../../integration.ts'
import { readSecrets } from '../../../operations/secrets/read.ts'
import type { Context } from '../../context.ts'
import { declareTextOrJson, examples, refArgument, secretFieldArgument } from '../../input/arguments.ts'
import { checkMask, mask, maskOption } from '../../output/mask.ts'
import { printable } from '../../output/text.ts'

/** `integrations secrets reveal` */
export const command = (ctx: Context) =>
  declareTextOrJson(new Command('reveal'), ctx.output)
    .summary('print the current value of a secret')
    .description(
      'Print the current value of a secret and a newline. Access is recorded in the audit log first. To pass a secret to a program, prefer exec, which prints nothing.',
    )
    .addArgument(refArgument())
    .addArgument(secretFieldArgument())
    .addOption(maskOption())
    .addHelpText(
      ...examples(
        'integrations secrets reveal Acme/support webhook-secret --reason "entered at Slack"',
        'integrations secrets reveal Acme/support access-token -o json',
      ),
    )
    .action(async (ref, field, options) => {
      checkMask(ctx, options.mask)
      const { integration, secrets } = await readSecrets(await ctx.store(), ref, {
        fields: [field],
        action: 'secret.reveal',
      })
      await mask(ctx, options.mask, [...secrets.values()])
      const value = secrets.get(field)?.reveal() ?? ''
      const text = `${ctx.host.stdout.isTTY ? printable(value) : value}\n`
      await ctx.output.textOrJson(text, { id: integration.id, field: flagOf(field), value })
    })

import { Command, Option } from '@commander-js/extra-typings'
import { badInput } from '../../../errors.ts'
import type { Context } from '../../context.ts'
import { declareTextOrJson, examples, refArgument, signerOption } from '../../input/arguments.ts'
import { readBytes } from '../../input/secret-input.ts'
import { eventOption, headersOption, readHeaders } from '../../input/webhook-headers.ts'

/** `integrations webhook sign` */
export const command = (ctx: Context) =>
  declareTextOrJson(new Command('sign'), ctx.output)
    .summary('print the headers that sign a body')
    .description(
      'Print the headers with which the platform would send a body now, one per line, as curl reads them from a file; with -o json, an object. The headers are valid for as long as the timestamp is accepted. Access is recorded in the audit log first.',
    )
    .addArgument(refArgument())
    .addOption(
      new Option(
        '--body-file <file>',
        'the bytes to sign, to the last newline; - for standard input',
      ).makeOptionMandatory(),
    )
    .addOption(eventOption())
    .addOption(headersOption('a header to print too, or in place of one of the platform'))
    .addOption(signerOption())
    .addHelpText(
      ...examples(
        'integrations webhook sign Acme/support --body-file event.json > headers.txt',
        'curl -H @headers.txt --data-binary @event.json https://app.example.com/webhooks/slack',
        'printf %s "$BODY" | integrations webhook sign Acme/support --body-file - --secret previous -o json',
      ),
    )
    .action(async (ref, { bodyFile, event, header, secret }) => {
      const given = await readHeaders(ctx, header, bodyFile)
      const body = await readBytes(ctx, bodyFile, '--body-file')
      if (body.length === 0) throw badInput('the body is empty', 'check that --body-file is not empty')
      const { signWebhook } = await import('../../../operations/webhooks/sign.ts')
      const content = { signer: secret, body, event, headers: given, now: Date.now() }
      const headers = await signWebhook(await ctx.store(), ref, content)
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`)
      await ctx.output.textOrJson(lines.join(''), { ...headers })
    })

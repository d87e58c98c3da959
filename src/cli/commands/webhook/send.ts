import { Command, Option } from '@commander-js/extra-typings'
import { badInput, checkFailed, type IntegrationsError } from '../../../errors.ts'
import { secretsCommand } from '../../../operations/texts.ts'
import type { Sent } from '../../../operations/webhooks/send.ts'
import { platforms } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument, signerOption } from '../../input/arguments.ts'
import { readBytes } from '../../input/secret-input.ts'
import { eventOption, headersOption, readHeaders } from '../../input/webhook-headers.ts'
import { sentView } from '../../views/webhook.ts'

const samples = platforms.map(({ id, webhooks }) => `${id}: ${Object.keys(webhooks.samples).join(', ')}`).join('; ')

/** `integrations webhook send` */
export const command = (ctx: Context) =>
  declareOutput(new Command('send'), ctx.output, sentView)
    .summary('send a signed webhook to an endpoint')
    .description(
      'Post a signed sample to an endpoint, as the platform would, and show the response. http: is allowed only for this machine, https: for any; redirects are not followed. Exits with 8 when the response is not 2xx or lacks the challenge that the body asks for, and with 7 when there is no response. Access is recorded in the audit log first.',
    )
    .addArgument(refArgument())
    .argument('<url>', 'the URL of the endpoint; the audit log keeps only its host')
    .addOption(
      new Option('--sample <name>', `which sample (${samples}; default: the first of the platform)`).conflicts(
        'bodyFile',
      ),
    )
    .addOption(new Option('--body-file <file>', 'a body in place of a sample, JSON or a form; - for standard input'))
    .addOption(eventOption().conflicts('sample'))
    .addOption(headersOption('a header to add, or to send in place of one of the platform'))
    .addOption(signerOption())
    .addOption(new Option('--allow-private', 'allow an address in a private network').default(false))
    .addHelpText(
      ...examples(
        'integrations webhook send Acme/support http://localhost:3000/webhooks/slack',
        'integrations webhook send Acme/support https://app.example.com/webhooks/slack --sample message --secret previous',
        'integrations webhook send Acme/code http://localhost:3000/webhooks/github --body-file created.json --event create',
      ),
    )
    .action(async (ref, address, { sample, bodyFile, event, header, secret, allowPrivate }) => {
      if (event !== undefined && bodyFile === undefined)
        throw badInput('--event has no effect without --body-file', 'pass --body-file too, or leave --event out')
      const headers = await readHeaders(ctx, header, bodyFile)
      const body = bodyFile === undefined ? undefined : await readBytes(ctx, bodyFile, '--body-file')
      const { accepted, sendWebhook } = await import('../../../operations/webhooks/send.ts')
      const warn = (text: string) => ctx.output.warn(text)
      const sending = { address, signer: secret, sample, body, event, headers, allowPrivate, warn }
      const sent = await sendWebhook(await ctx.store(), ref, sending)
      await ctx.output.one(sentView, sent)
      if (!accepted(sent)) throw refused(sent, ref)
    })

function refused({ answer: { status, location }, host, challengeReturned }: Sent, ref: string): IntegrationsError {
  if (status >= 200 && status < 300 && challengeReturned === false)
    return checkFailed(
      `${host} answered with ${status}, but without the challenge of the body`,
      'answer with the challenge as the whole body',
    )
  const hint =
    status >= 300 && status < 400 && location !== null
      ? 'platforms do not follow redirects: pass the URL that the endpoint redirects to'
      : status === 401 || status === 403
        ? `check that the endpoint has the secrets of ${secretsCommand(ref)}`
        : 'check the response above and the log of the endpoint'
  return checkFailed(`${host} answered with ${status}`, hint)
}

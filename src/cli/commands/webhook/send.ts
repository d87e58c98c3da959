import { Command, Option } from '@commander-js/extra-typings'
import { IntegrationsError, shellWord } from '../../../errors.ts'
import type { Sent } from '../../../operations/webhooks/send.ts'
import { platforms } from '../../../platforms/platforms.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument, signerOption } from '../../input/arguments.ts'
import { readBytes } from '../../input/secret-input.ts'
import { sentView } from '../../views/webhook.ts'

const samples = platforms.map(({ id, webhooks }) => `${id}: ${Object.keys(webhooks.samples).join(', ')}`).join('; ')

/** `integrations webhook send` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('send')
      .summary('send a signed webhook to an endpoint')
      .description(
        'Post a signed sample to an endpoint, as the platform would, and show the answer. Over http: to this machine alone, else over https:; redirects are not followed. Ends with 8 when the endpoint answers otherwise than with 2xx, and with 7 when no answer comes. That it begins stands in the audit log before.',
      )
      .addArgument(refArgument())
      .argument('<url>', 'where the endpoint is; the audit log keeps the host alone')
      .addOption(
        new Option('--sample <name>', `which sample (${samples}; default: the first of the platform)`).conflicts(
          'bodyFile',
        ),
      )
      .addOption(new Option('--body-file <file>', 'a body in place of a sample, JSON or a form; - for standard input'))
      .addOption(signerOption())
      .addOption(new Option('--allow-private', 'send to an address of a private network, too').default(false))
      .addHelpText(
        'after',
        examples(
          'integrations webhook send Acme/support http://localhost:3000/webhooks/slack',
          'integrations webhook send Acme/support https://app.example.com/webhooks/slack --sample message --secret previous',
        ),
      ),
    ctx.output,
    sentView,
  ).action(async (ref, url, { sample, bodyFile, secret, allowPrivate }) => {
    const body = bodyFile === undefined ? undefined : await readBytes(ctx, bodyFile, '--body-file')
    const { accepted, sendWebhook } = await import('../../../operations/webhooks/send.ts')
    const sent = await sendWebhook(await ctx.store(), ref, url, { signer: secret, sample, body, allowPrivate })
    await ctx.output.one(sentView, sent)
    if (!accepted(sent.answer)) throw refused(sent)
  })

function refused({ answer: { status, location }, host, integration }: Sent): IntegrationsError {
  const hint =
    status >= 300 && status < 400 && location !== null
      ? 'redirects are not followed, by platforms neither: give the address that it names'
      : status === 401 || status === 403
        ? `see that the endpoint has the secrets of integrations secrets list ${shellWord(integration.id)}`
        : 'see the answer above, and the log of the endpoint'
  return new IntegrationsError({ code: 'CHECK_FAILED', message: `${host} answered with ${status}`, hint })
}

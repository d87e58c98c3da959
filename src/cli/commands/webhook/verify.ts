import { Command, Option } from '@commander-js/extra-typings'
import { badInput, checkFailed } from '../../../errors.ts'
import { refOf } from '../../../integration.ts'
import { commandLine, rotateCommand } from '../../../operations/texts.ts'
import { type CapturedRequest, parseRequest } from '../../../operations/webhooks/raw-request.ts'
import type { WebhookCheck } from '../../../operations/webhooks/verify.ts'
import type { Context } from '../../context.ts'
import { declareOutput, examples, refArgument } from '../../input/arguments.ts'
import { readBytes } from '../../input/secret-input.ts'
import { instant } from '../../input/time.ts'
import { headersOption, readHeaders } from '../../input/webhook-headers.ts'
import type { Tone } from '../../output/tone.ts'
import { webhookCheckView } from '../../views/webhook.ts'

/** `integrations webhook verify` */
export const command = (ctx: Context) =>
  declareOutput(new Command('verify'), ctx.output, webhookCheckView)
    .summary('see which secret signed a webhook, or why none did')
    .description(
      'Check a captured webhook against the secrets that are accepted now, and report which secret made its signature. When none did, report why, as far as possible: a timestamp that is too old, a body that a proxy, a queue, an editor or a framework changed, a secret that was stored with quotes or spaces, another scheme, or the secret of another integration. Exits with 8 when the webhook would be refused. Access is recorded in the audit log first.',
    )
    .addArgument(refArgument())
    .addOption(
      new Option('--file <file>', 'an HTTP request as it was sent, head and body; - for standard input').conflicts([
        'header',
        'bodyFile',
      ]),
    )
    .addOption(headersOption('a header of the request'))
    .addOption(new Option('--body-file <file>', 'with --header: the bytes of the body; - for standard input'))
    .addOption(
      new Option(
        '--received-at <instant>',
        'when the request came, as in 2027-01-31T12:00:00Z, for a request from a queue or a log (default: now)',
      ).argParser(instant),
    )
    .addHelpText(
      ...examples(
        'integrations webhook verify Acme/support --file request.http',
        'integrations webhook verify Acme/support --header @headers.txt --body-file event.json --received-at 2027-01-31T12:00:00Z',
        "integrations webhook verify Acme/desk --header 'X-Pylon-Signature: …' --body-file body.json -o json",
      ),
    )
    .action(async (ref, options) => {
      const captured = await readCaptured(ctx, options)
      const { verifyWebhook } = await import('../../../operations/webhooks/verify.ts')
      const now = options.receivedAt === undefined ? Date.now() : Date.parse(options.receivedAt)
      const found = await verifyWebhook(await ctx.store(), ref, { captured, now })
      await ctx.output.report(report(found), () => ctx.output.one(webhookCheckView, found))
      if (found.refusal) throw checkFailed(refusals[found.refusal], next(found, ref))
    })

async function readCaptured(
  ctx: Context,
  { file, header, bodyFile }: { [O in 'file' | 'bodyFile']?: string | undefined } & { header?: string[] | undefined },
): Promise<CapturedRequest> {
  if (file !== undefined) return parseRequest(await readBytes(ctx, file, '--file'))
  if (!header || bodyFile === undefined)
    throw badInput('there is no request to check', 'give --file, or --header and --body-file')
  return { headers: await readHeaders(ctx, header, bodyFile), body: await readBytes(ctx, bodyFile, '--body-file') }
}

const refusals: { readonly [R in NonNullable<WebhookCheck['refusal']>]: string } = {
  missing_header: 'the webhook is not signed as this integration’s are',
  malformed_header: 'the signature of the webhook is malformed',
  duplicated_header: 'the webhook has two signatures',
  stale: 'the timestamp of the webhook is not accepted',
  body_altered: 'the body of the webhook was changed on its way',
  body_suspect: 'the webhook is signed with another secret, or its body was changed on its way, as it seems',
  secret_altered: 'the stored secret is not quite the one that signs the webhook',
  malformed_body: 'the signature of the webhook is right, and its body cannot be read',
  other_scheme: 'the webhook is signed by another scheme',
  other_integration: 'the webhook is signed with the secret of another integration',
  wrong_secret: 'the webhook is signed with another secret, or was changed on its way',
  no_secret: 'there is no secret to check the webhook with',
}

function next({ refusal, setting, owner }: WebhookCheck, ref: string): string {
  switch (refusal) {
    case 'stale':
      return 'check the clocks; of a webhook from a queue or a log, pass the time when it came with --received-at'
    case 'body_altered':
    case 'body_suspect':
      return 'check the signature against the bytes that came, before anything parses them'
    case 'malformed_body':
      return 'check that the body has the content type that the platform sends'
    case 'other_scheme':
      return commandLine('config set', [ref, setting ?? ''])
    case 'other_integration':
      return commandLine('show', [owner?.id ?? ''])
    case 'no_secret':
    case 'secret_altered':
    case 'wrong_secret':
      return `set the secret that the platform shows with ${rotateCommand(ref, 'webhookSecret')}`
    default:
      return 'check that the request is as the platform sent it: proxies drop and add headers'
  }
}

/** What people read. */
function report({ integration, refusal, findings, skew }: WebhookCheck): [string, Tone][] {
  const name = refOf(integration)
  const clock =
    skew === null
      ? 'the webhook has no timestamp'
      : `the timestamp is ${Math.abs(skew)} seconds ${skew < 0 ? 'behind' : 'ahead'}`
  return [
    refusal === null
      ? [`${name} accepts the webhook; ${clock}`, 'good']
      : [`${name} refuses the webhook (${refusal}); ${clock}`, 'bad'],
    ...findings.map((finding): [string, Tone] => [finding, refusal === null ? 'plain' : 'warn']),
  ]
}

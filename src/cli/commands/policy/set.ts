import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { setPolicy } from '../../../operations/report/policies.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { filterOf, tagFilter } from '../../input/filters.ts'
import { duration } from '../../input/time.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { changesOf, policyView } from '../../views/report.ts'

/** `integrations policy set` */
export const command = (ctx: Context) =>
  declareChange(new Command('set'), ctx.output, policyView)
    .summary('say what integrations are asked to keep')
    .description(
      'Say what integrations are asked to keep, and which: those that meet all of --platform, --workspace and --tag, or all integrations. Of a policy that there is, this replaces all: what is not given is asked no more. Refused (exit 2) when the policy asks for nothing, or is for no integration.',
    )
    .argument('<policy>', 'name of the policy')
    .addOption(new Option('--platform <platform>', 'for integrations of this platform'))
    .addOption(new Option('--workspace <workspace>', 'for integrations in this workspace (id or name)'))
    .addOption(
      new Option('--tag <tag>', 'for integrations with this tag: key=value, or key alone for any value').argParser(
        oneTag,
      ),
    )
    .addOption(
      new Option('--max-secret-age <duration>', 'how old a webhook secret and a refresh token may be').argParser(time),
    )
    .addOption(new Option('--max-token-age <duration>', 'how old an access token may be').argParser(time))
    .addOption(
      new Option(
        '--expires-within <duration>',
        'how long before its end reports begin to warn of an access token (30d without a policy)',
      ).argParser(time),
    )
    .addOption(
      new Option(
        '--unused-after <duration>',
        'after how long without use reports tell so (30d without a policy)',
      ).argParser(time),
    )
    .addOption(new Option('--require-expiry', 'an access token has to expire').default(false))
    .addOption(new Option('--require-owner', 'an integration has to have an owner').default(false))
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations policy set all --max-secret-age 180d --require-owner',
        'integrations policy set production --tag env=production --max-secret-age 90d --max-token-age 30d',
        'integrations policy set github --platform github --require-expiry --expires-within 60d',
      ),
    )
    .action(async (name, options) => {
      const { platform, workspace, tag, requireExpiry, requireOwner, dryRun } = options
      const store = await ctx.store()
      const scope = await filterOf(store, { platform, workspace, tag: tag === undefined ? tag : [tag] })
      const [asked] = scope.tags ?? []
      const { policy, before, differs } = await setPolicy(
        store,
        {
          name,
          platform: scope.platform ?? null,
          workspaceId: scope.workspaceId ?? null,
          tagKey: asked?.key ?? null,
          tagValue: asked?.value ?? null,
          maxSecretAge: options.maxSecretAge ?? null,
          maxTokenAge: options.maxTokenAge ?? null,
          expiresWithin: options.expiresWithin ?? null,
          unusedAfter: options.unusedAfter ?? null,
          expiryRequired: requireExpiry,
          ownerRequired: requireOwner,
        },
        { dryRun },
      )
      const changes = before && differs ? `: ${changesOf(before, policy)}` : ''
      const are = plural(policy.integrations, 'integration')
      await ctx.output.change(policyView, policy, {
        outcome: outcomeOf(differs, dryRun),
        sentence: `${!differs ? 'there is already' : dryRun ? 'would set' : 'set'} the policy ${name}, for ${are}${changes}`,
        next: differs && !dryRun ? ['integrations report'] : [],
      })
    })

/** A policy is for one tag: several of one key would be for none. @throws InvalidArgumentError, BAD_INPUT */
function oneTag(tag: string, before: string | undefined): string {
  if (before !== undefined) throw new InvalidArgumentError('give one --tag; a policy of its own is for another tag')
  return tagFilter(tag)
}

/** A time in whole seconds, as a policy keeps it. @throws InvalidArgumentError */
function time(text: string): number {
  const seconds = duration(text) / 1000
  if (!Number.isInteger(seconds) || seconds === 0 || seconds > 2 ** 31 - 1)
    throw new InvalidArgumentError('write a number of seconds, minutes, hours, days or weeks from 1 up, as in 90d')
  return seconds
}

import { Command, Option } from '@commander-js/extra-typings'
import { IntegrationsError } from '../../../errors.ts'
import { flagOf } from '../../../integration.ts'
import { planReencryption, type Reencryption, reencrypt } from '../../../operations/keys/reencrypt.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { withProgressBar } from '../../output/progress.ts'
import { plural } from '../../output/text.ts'
import { outcomeOf } from '../../output/values.ts'
import { reencryptionView } from '../../views/key.ts'

/** `integrations keys reencrypt` */
export const command = (ctx: Context) =>
  declareChange(new Command('reencrypt'), ctx.output, reencryptionView)
    .summary('bring every value to the active key and the encryption mode')
    .description(
      'Bring every stored value to the encryption mode: encrypted with the active key, or, in the mode off, plain for current values. You can interrupt the command at any point and run it again. Every value is decrypted, even when it needs no change; a value that cannot be decrypted is reported and stays as it is. In the mode off, --decrypt is required where current values are encrypted, since they will be stored plain.',
    )
    .addOption(new Option('--decrypt', 'store current values plain, as the mode off asks').default(false))
    .addOption(dryRunOption())
    .addHelpText(
      ...examples(
        'integrations keys reencrypt --dry-run',
        'integrations keys reencrypt',
        'integrations keys reencrypt --decrypt',
      ),
    )
    .action(async ({ decrypt, dryRun }) => {
      const [store, source] = [await ctx.store(), ctx.keys()]
      const done = dryRun
        ? await planReencryption(store, source, { decrypt })
        : await withProgressBar(ctx, 'integrations', (update) =>
            reencrypt(store, source, { decrypt, progress: update }),
          )
      const values = plural(done.changed, 'value')
      await ctx.output.change(reencryptionView, done, {
        outcome: outcomeOf(done.changed > 0, dryRun),
        sentence: dryRun ? `would change ${values}` : `changed ${values}`,
      })
      for (const { id, name, field, error } of done.undecryptable)
        ctx.output.warn(`the ${flagOf(field)} of ${name} (${id}) cannot be decrypted: ${error.message}`)
      if (done.undecryptable.length > 0) throw worst(done, dryRun)
    })

function worst({ undecryptable, changed }: Reencryption, dryRun: boolean): IntegrationsError {
  const broken = undecryptable.find(({ error }) => error.code === 'DECRYPTION_FAILED') ?? undecryptable[0]
  return new IntegrationsError({
    code: broken?.error.code ?? 'DECRYPTION_FAILED',
    message: `values that cannot be decrypted, and stay as they are: ${undecryptable.length}`,
    hint: broken?.error.hint ?? '',
    committed: !dryRun && changed > 0,
  })
}

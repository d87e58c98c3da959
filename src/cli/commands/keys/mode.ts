import { Argument, Command, Option } from '@commander-js/extra-typings'
import { changeMode } from '../../../operations/keys/mode.ts'
import { type EncryptionMode, modes } from '../../../store/tables/keys.ts'
import type { Context } from '../../context.ts'
import { declareChange, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmByTyping } from '../../input/consent.ts'
import { changeView, outcomeOf } from '../../output/values.ts'
import { modeView, undecided } from '../../views/key.ts'

/** `integrations keys mode` */
export const command = (ctx: Context) =>
  declareChange(new Command('mode'), ctx.output, modeView)
    .summary('show or change how secrets are stored')
    .description(
      'Show or change how secrets are stored: off, plain in the columns of the application; migrating, every secret written from now on is encrypted; required, every secret is encrypted, and a plain secret is refused. Change one step at a time. Stored values stay as they are until keys reencrypt.',
    )
    .addArgument(new Argument('[mode]', 'the mode to change to').choices(modes))
    .addOption(
      new Option(
        '--confirm <mode>',
        'confirm the change from off to migrating, or from migrating to required, by repeating the mode (required without a terminal)',
      ),
    )
    .addOption(dryRunOption())
    .addHelpText(...examples('integrations keys mode', 'integrations keys mode migrating --confirm migrating'))
    .action(async (mode, { confirm, dryRun }) => {
      const store = await ctx.store()
      if (mode === undefined) {
        const stored = await store.read((db) => db.keys.mode())
        await ctx.output.one(changeView(modeView), { mode: stored, outcome: 'unchanged' })
        if (stored === null) ctx.output.note(undecided)
        return
      }
      // What is refused is refused before anybody is asked.
      const planned = await changeMode(store, mode, { dryRun: true })
      const cost = costs[`${planned.before}>${mode}`]
      if (cost) ctx.output.warn(cost)
      if (cost && !dryRun)
        await confirmByTyping(ctx, { word: mode, confirm, warning: 'Check first that the application supports it.' })
      const { before } = dryRun ? planned : await changeMode(store, mode, { dryRun })
      const sentence =
        before === mode
          ? `the mode is already ${mode}`
          : `${dryRun ? 'would change' : 'changed'} the mode from ${before} to ${mode}`
      const steps = before === mode || dryRun ? [] : next(before, mode)
      await ctx.output.change(
        modeView,
        { mode },
        { outcome: outcomeOf(before !== mode, dryRun), sentence, next: steps },
      )
      if (before !== mode && !dryRun && mode === 'required')
        ctx.output.note(
          'old pages of the database, and old backups, may still hold plain secrets: run VACUUM FULL integrations (PostgreSQL) or VACUUM (SQLite)',
        )
    })

/** What a step costs an application that does not decrypt secrets itself. */
const costs: { readonly [step: string]: string } = {
  'off>migrating':
    'an application that reads the columns itself gets encrypted text for every secret written from now on, until it decrypts secrets as docs/reading-secrets.md says',
  'migrating>required':
    'from now on a plain secret is refused: an application that writes the columns itself must encrypt secrets first, or have them set with integrations rotate',
}

function next(before: EncryptionMode, mode: EncryptionMode): string[] {
  if (mode === 'off') return ['integrations keys reencrypt --decrypt']
  if (mode === 'migrating')
    return before === 'off'
      ? ['integrations keys reencrypt', 'integrations keys mode required']
      : ['integrations keys mode off', 'integrations keys reencrypt --decrypt']
  return []
}

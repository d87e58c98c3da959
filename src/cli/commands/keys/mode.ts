import { Argument, Command, Option } from '@commander-js/extra-typings'
import { changeMode, modes } from '../../../operations/keys/mode.ts'
import type { EncryptionMode } from '../../../store/tables/keys.ts'
import type { Context } from '../../context.ts'
import { declareOutput, dryRunOption, examples } from '../../input/arguments.ts'
import { confirmRemoval } from '../../input/consent.ts'
import { modeView, undecided } from '../../views/key.ts'

/** `integrations keys mode` */
export const command = (ctx: Context) =>
  declareOutput(
    new Command('mode')
      .summary('show or change how secrets are stored')
      .description(
        'Show or change how secrets are stored: off, plain in the columns of the application; migrating, every one that is written from now on is sealed; required, all are sealed, and a plain one is refused. One step at a time. What is stored stays as it is until keys reencrypt.',
      )
      .addArgument(new Argument('[mode]', 'the mode to change to').choices(modes))
      .addOption(
        new Option('--confirm <mode>', 'the mode: consent to migrating or required, where nobody can be asked'),
      )
      .addOption(dryRunOption())
      .addHelpText('after', examples('integrations keys mode', 'integrations keys mode migrating --confirm migrating')),
    ctx.output,
    modeView,
  ).action(async (mode, { confirm, dryRun }) => {
    const store = await ctx.store()
    if (mode === undefined) {
      const settings = await store.read((db) => db.keys.settings())
      await ctx.output.one(modeView, settings)
      if (settings.mode === null) ctx.output.note(undecided)
      return
    }
    // What is refused is refused before anybody is asked.
    const planned = await changeMode(store, mode, { dryRun: true })
    const cost = costs[`${planned.before}>${mode}`]
    if (cost) ctx.output.warn(cost)
    if (cost && !dryRun) await confirmRemoval(ctx, mode, confirm, 'See first that the application does.')
    const { before } = dryRun ? planned : await changeMode(store, mode, { dryRun })
    await ctx.output.change(
      modeView,
      { mode },
      before === mode
        ? `the mode is ${mode} already`
        : `${dryRun ? 'would change' : 'changed'} the mode from ${before} to ${mode}`,
      before === mode || dryRun ? [] : next(before, mode),
    )
  })

/** What a step costs an application that does not open sealed values itself. */
const costs: { readonly [step: string]: string } = {
  'off>migrating':
    'an application that reads the columns itself gets sealed text for every secret that is written from now on, until it opens them as docs/reading-secrets.md says',
  'migrating>required':
    'from now on a secret that is not sealed is refused: an application that writes the columns itself has to seal first, or have its secrets set with integrations rotate',
}

function next(before: EncryptionMode, mode: EncryptionMode): string[] {
  if (mode === 'off') return ['integrations keys reencrypt   # unseal what is sealed']
  if (mode === 'migrating')
    return before === 'off'
      ? ['integrations keys reencrypt   # seal what is plain', 'integrations keys mode required']
      : ['integrations keys mode off   # then integrations keys reencrypt unseals what is sealed']
  return ['VACUUM FULL integrations (PostgreSQL), or VACUUM (SQLite): old pages hold what was plain, as old backups do']
}

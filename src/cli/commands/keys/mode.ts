import { Argument, Command, Option } from '@commander-js/extra-typings'
import { changeMode, modes, verifyKeys } from '../../../operations/keys.ts'
import type { SealingMode } from '../../../store/keys.ts'
import { answers, examples } from '../../arguments.ts'
import { confirmRemoval } from '../../consent.ts'
import type { Context } from '../../context.ts'
import { modeView } from '../../key-views.ts'

/** `integrations keys mode` */
export const modeCommand = (ctx: Context) =>
  answers(
    new Command('mode')
      .summary('show or change how secrets are stored')
      .description(
        'Show or change how secrets are stored: off, plain in the columns of the application; migrating, every one that is written from now on is sealed; required, all are sealed, and a plain one is refused. One step at a time. What is stored stays as it is until keys reencrypt.',
      )
      .addArgument(new Argument('[mode]', 'the mode to change to').choices(modes))
      .addOption(new Option('--confirm <mode>', 'the mode: consent to migrating, where nobody can be asked'))
      .addHelpText('after', examples('integrations keys mode', 'integrations keys mode migrating --confirm migrating')),
    ctx.output,
    modeView,
  ).action(async (mode, { confirm }) => {
    const store = await ctx.store()
    // The first change decides which mode a new database has.
    if (mode !== undefined) await verifyKeys(store)
    const { mode: before } = await store.read((rows) => rows.keys.settings())
    if (mode === undefined) return ctx.output.one(modeView, { before, mode: before })
    if (before === 'off' && mode === 'migrating') {
      ctx.output.warn(
        'an application that reads the columns itself gets sealed text for every secret that is written from now on, until it opens them as docs/reading-secrets.md says',
      )
      await confirmRemoval(ctx, mode, confirm, 'See first that the application does.')
    }
    const changed = await changeMode(store, mode)
    await ctx.output.change(
      modeView,
      changed,
      changed.before === mode ? `the mode is ${mode} already` : `changed the mode from ${changed.before} to ${mode}`,
      changed.before === mode ? [] : next(changed.before, mode),
    )
  })

function next(before: SealingMode, mode: SealingMode): string[] {
  if (mode === 'off') return ['integrations keys reencrypt   # unseal what is sealed']
  if (mode === 'migrating')
    return before === 'off'
      ? ['integrations keys reencrypt   # seal what is plain', 'integrations keys mode required']
      : ['integrations keys mode off   # then integrations keys reencrypt unseals what is sealed']
  return ['VACUUM FULL integrations (PostgreSQL), or VACUUM (SQLite): old pages hold what was plain, as old backups do']
}

import { IntegrationsError, is, quoted, shellWord } from '../../errors.ts'
import type { Context } from '../context.ts'

/** What arguments of commands refer to, and what finds it. */
const referents = {
  ref: { what: 'an integration', find: 'findIntegration' },
  workspace: { what: 'a workspace', find: 'findWorkspace' },
  user: { what: 'a user', find: 'findUser' },
} as const

type Referring = keyof typeof referents

/** How long a database that does not answer may delay an error about the command line. */
const maxWaitMs = 2000

/** What the ids of applications are made of, which may begin with -. A token is longer. */
const idForm = /^-[\w./@-]{5,31}$/

/** Whether a word that was taken for an option may be a reference. */
export const mayBeRef = (word: string): boolean => idForm.test(word)

/** Whether an argument of this name is a reference. */
export const isReferring = (argument: string): argument is Referring => Object.hasOwn(referents, argument)

/** A word was taken for an option, which may be a reference that begins with -. */
export class OptionLikeRef extends IntegrationsError {
  readonly #word: string
  readonly #argument: Referring
  readonly #line: (ref: string) => string

  /** @param options `line`: how to type the command with a reference */
  constructor(
    message: string,
    { hint, word, argument, line }: { hint: string; word: string; argument: Referring; line: (ref: string) => string },
  ) {
    super({ code: 'BAD_INPUT', message, hint })
    this.#word = word
    this.#argument = argument
    this.#line = line
  }

  /** This error; or one that says what the word refers to, and what to type, when the database tells. */
  async told(ctx: Context): Promise<IntegrationsError> {
    const { what, find } = referents[this.#argument]
    const [{ withOwnStore }, finders] = await Promise.all([
      import('../own-store.ts'),
      import('../../operations/find.ts'),
    ])
    const names = await withOwnStore(ctx, { wait: maxWaitMs, notice: () => {} }, (store) =>
      store.read<unknown>((db) => finders[find](db, this.#word)),
    ).then(
      () => true,
      (error: unknown) => is(error, 'AMBIGUOUS'),
    )
    if (!names) return this
    return new IntegrationsError({
      code: 'BAD_INPUT',
      message: `${quoted(this.#word)} names ${what}, and was taken for an option`,
      hint: this.#line(shellWord(this.#word)),
    })
  }
}

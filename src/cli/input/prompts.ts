import { cancelled, IntegrationsError } from '../../errors.ts'
import type { Host } from '../host.ts'
import { printable } from '../output/text.ts'

/** One of several answers. */
export interface Choice<Value extends string = string> {
  readonly value: Value
  readonly name: string
}

/** Questions to a person, drawn on stderr. Every one has a flag that answers it. */
export interface Prompts {
  /** Whether there is a person to ask. */
  readonly possible: () => boolean
  /** Asks for a line. `flag` is named in the error when no prompt is possible. @throws INPUT_REQUIRED, CANCELLED */
  text(question: string, flag: string, check?: (answer: string) => void): Promise<string>
  /** Asks for a secret, which is not shown, not even its length. An empty answer is allowed. @throws INPUT_REQUIRED, CANCELLED */
  secret(question: string, flag: string, check: (answer: string) => void): Promise<string>
  /** Asks for one of several answers. @throws INPUT_REQUIRED, CANCELLED */
  choose<Value extends string>(question: string, flag: string, choices: readonly Choice<Value>[]): Promise<Value>
  /** Asks for one of what `find` gives for the text typed so far. @throws INPUT_REQUIRED, CANCELLED */
  search(question: string, flag: string, find: (typed: string) => Promise<readonly Choice[]>): Promise<string>
  /** Asks for yes or no; Enter alone is `otherwise`. @throws INPUT_REQUIRED, CANCELLED */
  confirm(question: string, flag: string, otherwise?: boolean): Promise<boolean>
}

const choosable = <Value extends string>(choices: readonly Choice<Value>[]) =>
  choices.map(({ value, name }) => ({ value, name: printable(name) }))

/** Prompts on a host's terminal; `allowed` is false for `--no-input`. */
export function prompts(host: Host, allowed: () => boolean): Prompts {
  const possible = () => Boolean(host.stdin.isTTY && host.stderr.isTTY && allowed() && !host.env.CI)
  // Node opens stdin when it is first touched, which takes a millisecond of every start.
  const streams = () => ({ input: host.stdin, output: host.stderr })

  async function ask<T>(
    flag: string,
    question: (inquirer: typeof import('@inquirer/prompts')) => Promise<T>,
  ): Promise<T> {
    if (!possible())
      throw new IntegrationsError({
        code: 'INPUT_REQUIRED',
        message: `${flag.split(/[, ]/)[0]} is required when prompts are off or there is no terminal`,
        hint: `pass ${flag}`,
      })
    try {
      return await question(await import('@inquirer/prompts'))
    } catch (error) {
      if (error instanceof Error && /^(ExitPromptError|AbortPromptError)$/.test(error.name)) throw cancelled()
      throw error
    }
  }

  // What a check throws is shown, and the question asked again.
  const validate = (check: (answer: string) => void) => (answer: string) => {
    try {
      check(answer)
      return true
    } catch (error) {
      if (error instanceof IntegrationsError) return `${error.message}: ${error.hint}`
      throw error
    }
  }

  return {
    possible,
    text: (message, flag, check = () => {}) =>
      ask(flag, ({ input }) => input({ message: printable(message), validate: validate(check) }, streams())),
    secret: (message, flag, check) =>
      ask(flag, ({ password }) =>
        password({ message: printable(message), validate: validate(check), toggleMask: false }, streams()),
      ),
    choose: (message, flag, choices) =>
      ask(flag, ({ select }) => select({ message: printable(message), choices: choosable(choices) }, streams())),
    search: (message, flag, find) =>
      ask(flag, ({ search }) =>
        search({ message: printable(message), source: async (typed) => choosable(await find(typed ?? '')) }, streams()),
      ),
    confirm: (message, flag, otherwise = false) =>
      ask(flag, ({ confirm }) => confirm({ message: printable(message), default: otherwise }, streams())),
  }
}

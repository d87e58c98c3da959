import { cancelled, IntegrationsError } from '../../errors.ts'
import type { Host } from '../host.ts'
import { printable } from '../output/text.ts'
import type { PasteGuard } from './paste-guard.ts'

/** One of several answers. */
export interface Choice<Value extends string = string> {
  readonly value: Value
  readonly name: string
}

/** Questions to a person, drawn on stderr. Every one has a flag that answers it. */
export interface Prompts {
  /** Whether there is a person to ask. */
  readonly possible: () => boolean
  /** Without a terminal, names all missing flags in one refusal. @param flags those that are missing, as in `--name <name>` @throws INPUT_REQUIRED */
  require(flags: readonly string[]): void
  /** Asks for a line, which is given without spaces at its ends. `flag` is named in the error when no prompt is possible. @throws INPUT_REQUIRED, CANCELLED */
  text(question: string, flag: string, check?: (answer: string) => void): Promise<string>
  /** Asks for a secret, of which nothing is shown but how many characters were pasted. An empty answer is allowed. @throws INPUT_REQUIRED, CANCELLED */
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

/** Has a terminal mark the beginning and the end of what is pasted. */
const bracketedPaste = { on: '\u001b[?2004h', off: '\u001b[?2004l' }

const listed = (words: readonly string[]) =>
  [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' and ')

/** Prompts on a host's terminal; `allowed` is false for `--no-input`. */
export function prompts(host: Host, allowed: () => boolean): Prompts {
  const possible = () => Boolean(host.stdin.isTTY && host.stderr.isTTY && allowed() && !host.env.CI)
  // Node opens stdin when it is first touched, which takes a millisecond of every start.
  const streams = () => {
    const { stdin: input, stderr: output } = host
    if (!output.isTTY) throw new Error('there is no terminal')
    return { input, output }
  }

  function require(flags: readonly string[]): void {
    if (possible() || flags.length === 0) return
    const names = flags.map((flag) => flag.split(/[, ]/)[0] ?? flag)
    throw new IntegrationsError({
      code: 'INPUT_REQUIRED',
      message: `${listed(names)} ${flags.length === 1 ? 'is' : 'are'} required when prompts are off or there is no terminal`,
      hint: `pass ${listed(flags)}`,
    })
  }

  async function ask<T>(flag: string, question: () => Promise<T>): Promise<T> {
    require([flag])
    try {
      return await question()
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

  const askLine = (message: string, flag: string, line: { masked: boolean; check: (answer: string) => void }) =>
    ask(flag, async () => {
      const { linePrompt } = await import('./line-prompt.ts')
      const question = { message: printable(message), masked: line.masked, validate: validate(line.check) }
      host.stderr.write(bracketedPaste.on)
      return linePrompt(question, streams()).finally(() => host.stderr.write(bracketedPaste.off))
    })

  /** Asks what is chosen by keys: a paste of several lines would choose, and answer the next questions. */
  const askKeys = <T>(
    flag: string,
    question: (keys: { input: PasteGuard; output: NodeJS.WritableStream; signal: AbortSignal }) => Promise<T>,
  ) =>
    ask(flag, async () => {
      const { PasteGuard: Guard, restMs, severalLines } = await import('./paste-guard.ts')
      for (;;) {
        const refused = new AbortController()
        const { signal } = refused
        const input = new Guard(streams().input, () => refused.abort())
        host.stderr.write(bracketedPaste.on)
        try {
          return await question({ ...streams(), input, signal })
        } catch (error) {
          if (!signal.aborted) throw error
          // The rest of the paste is no answer to what is asked again.
          await new Promise((done) => setTimeout(done, restMs))
          host.stderr.write(`${severalLines}\n`)
        } finally {
          input.end()
          host.stderr.write(bracketedPaste.off)
        }
      }
    })

  const inquirer = () => import('@inquirer/prompts')

  return {
    possible,
    require,
    text: async (message, flag, check = () => {}) =>
      (await askLine(message, flag, { masked: false, check: (answer) => check(answer.trim()) })).trim(),
    secret: (message, flag, check) => askLine(message, flag, { masked: true, check }),
    choose: (message, flag, choices) =>
      askKeys(flag, async (keys) =>
        (await inquirer()).select({ message: printable(message), choices: choosable(choices) }, keys),
      ),
    search: (message, flag, find) =>
      askKeys(flag, async (keys) =>
        (await inquirer()).search(
          { message: printable(message), source: async (typed) => choosable(await find(typed ?? '')) },
          keys,
        ),
      ),
    confirm: (message, flag, otherwise = false) =>
      askKeys(flag, async (keys) =>
        (await inquirer()).confirm({ message: printable(message), default: otherwise }, keys),
      ),
  }
}

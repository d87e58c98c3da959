import { createReadStream } from 'node:fs'
import { type Command, Option, type OptionValues } from '@commander-js/extra-typings'
import { badInput, IntegrationsError, systemCode } from '../../errors.ts'
import { flagOf, type SecretField, secretFields } from '../../integration.ts'
import { generateSecret, type NewSecret, type NewSecrets, readSecret } from '../../operations/secrets/values.ts'
import type { Secret } from '../../secret.ts'
import { readUpTo } from '../../streams.ts'
import type { Context } from '../context.ts'
import type { Host } from '../host.ts'

/** What the flags of secrets are parsed to. */
export type SecretOptions<F extends string> = { readonly [K in `${F}Stdin`]?: true | undefined } & {
  readonly [K in `${F}File` | `${F}Env`]?: string | undefined
}

type InputField = SecretField | 'clientSecret'

/** Adds `--<secret>-stdin`, `--<secret>-file` and `--<secret>-env` for secrets. No flag takes a value. */
export function withSecretFlags<A extends unknown[], O extends OptionValues, F extends string>(
  command: Command<A, O>,
  fields: readonly F[],
): Command<A, O & SecretOptions<F>> {
  for (const field of fields) {
    const flag = flagOf(field)
    const words = flag.replaceAll('-', ' ')
    command
      .addOption(new Option(`--${flag}-stdin`, `read the ${words} from standard input`))
      .addOption(new Option(`--${flag}-file <file>`, `read the ${words} from a file, or from standard input for -`))
      .addOption(new Option(`--${flag}-env <name>`, `read the ${words} from an environment variable`))
  }
  return command as Command<A, O & SecretOptions<F>>
}

/** The secrets that standard input is to hold. */
export const secretsOnStdin = (options: SecretOptions<SecretField>): SecretField[] =>
  secretFields.filter((field) => options[`${field}Stdin`] || options[`${field}File`] === '-')

/**
 * Reads the secrets that flags name.
 *
 * @throws BAD_INPUT when one is given twice, two want standard input, or a value cannot be a secret
 */
export async function givenSecrets(ctx: Context, options: SecretOptions<SecretField>): Promise<NewSecrets> {
  const wantStdin = secretsOnStdin(options)
  if (wantStdin.length > 1)
    throw badInput(
      'standard input can hold one secret only',
      `give the others by --${flagOf(wantStdin[1] ?? '')}-file or --${flagOf(wantStdin[1] ?? '')}-env`,
    )
  const secrets: { [F in SecretField]?: NewSecret } = {}
  for (const field of secretFields) {
    const value = await givenSecret(ctx, field, options)
    if (value) secrets[field] = { value, origin: 'provided' }
  }
  return secrets
}

/** Reads the secret that one of its flags names; undefined without any. @throws BAD_INPUT when it is given twice, or cannot be a secret */
export async function givenSecret(
  { host }: Context,
  field: InputField,
  options: SecretOptions<InputField>,
): Promise<Secret | undefined> {
  const [stdin, file, env] = [options[`${field}Stdin`], options[`${field}File`], options[`${field}Env`]]
  const flag = `--${flagOf(field)}`
  if ([stdin, file, env].filter((way) => way !== undefined).length > 1)
    throw badInput(
      `${flag.slice(2).replaceAll('-', ' ')} is given in more than one way`,
      `keep one of ${flag}-stdin, ${flag}-file and ${flag}-env`,
    )
  if (stdin || file === '-')
    return readSecret(await readStdin(host), `standard input (${flag}-${stdin ? 'stdin' : 'file'})`)
  if (file !== undefined) return readSecret(await readTextFile(file, `${flag}-file`), `the file of ${flag}-file`)
  if (env === undefined) return undefined
  return readSecret(variable(host, env, `${flag}-env`), `the variable that ${flag}-env names`)
}

/** Reads the answer to a prompt for a secret. @throws BAD_INPUT when it cannot be a secret */
export const typedSecret = (answer: string): Secret => readSecret(answer, 'the answer', 'type the secret')

/** Asks for secrets, in order; what is left empty is left out. */
export async function askSecrets(
  { prompts }: Context,
  questions: readonly {
    field: SecretField
    question: string
    required: boolean
    check: (value: Secret) => void
  }[],
): Promise<NewSecrets> {
  const secrets: { [F in SecretField]?: NewSecret } = {}
  for (const { field, question, required, check } of questions) {
    const answer = await prompts.secret(question, `--${flagOf(field)}-stdin, -file or -env`, (text) => {
      if (text !== '' || required) check(typedSecret(text))
    })
    if (answer !== '') secrets[field] = { value: typedSecret(answer), origin: 'provided' }
  }
  return secrets
}

/** A secret made here, for a field. */
export const generated = (field: SecretField): NewSecrets => ({ [field]: generateSecret() })

/** The most that is read: whatever is asked for is much shorter. */
const maxInputBytes = 1024 * 1024

/** Everything on standard input. @throws BAD_INPUT when it is a terminal, too large, or not UTF-8 */
export const readStdin = async (host: Host): Promise<string> => decoded(await readStdinBytes(host), 'standard input')

async function readStdinBytes({ stdin }: Host): Promise<Buffer> {
  if (stdin.isTTY)
    throw badInput('standard input is a terminal', 'pipe the value in, or leave the flag out to be asked for it')
  return readAll(stdin, 'standard input')
}

/** The text of a file, which may be a pipe. @throws BAD_INPUT when it cannot be read, is too large, or is not UTF-8 */
export const readTextFile = async (path: string, flag: string): Promise<string> =>
  decoded(await readFileBytes(path, flag), `the file of ${flag}`)

/** The bytes of a file, or of standard input for `-`. @throws BAD_INPUT when they cannot be read, or are too many */
export const readBytes = ({ host }: Context, file: string, flag: string): Promise<Buffer> =>
  file === '-' ? readStdinBytes(host) : readFileBytes(file, flag)

function readFileBytes(path: string, flag: string): Promise<Buffer> {
  return readAll(createReadStream(path), `the file of ${flag}`).catch((error: unknown) => {
    if (error instanceof IntegrationsError) throw error
    throw badInput(
      `the file of ${flag} cannot be read (${systemCode(error)})`,
      'check the path, and that the file is readable',
    )
  })
}

async function readAll(stream: AsyncIterable<Buffer | string>, source: string): Promise<Buffer> {
  const bytes = await readUpTo(stream, maxInputBytes)
  if (!bytes) throw badInput(`${source} holds more than 1 MB`, 'give the value alone')
  return bytes
}

function decoded(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw badInput(`${source} is not UTF-8 text`, 'give the value as UTF-8')
  }
}

/** A document from a file, or from standard input for `-` or nothing. `of` names the file in messages. @throws BAD_INPUT */
export const readDocument = ({ host }: Context, file: string | undefined, of: string): Promise<string> =>
  file === undefined || file === '-' ? readStdin(host) : readTextFile(file, of)

function variable({ env }: Host, name: string, flag: string): string {
  const value = env[name]
  // The name is not quoted: it is the secret itself when a person took the flag for one that takes a value.
  if (value === undefined)
    throw badInput(
      `the environment variable that ${flag} names is not set`,
      'export it, or correct the name; the flag takes a name, not the secret',
    )
  return value
}

import { type Command, InvalidArgumentError, Option, type OptionValues } from '@commander-js/extra-typings'
import { type Instant, instantOf } from '../../brands.ts'
import { badInput } from '../../errors.ts'
import type { Expiry, IntegrationView } from '../../integration.ts'
import type { NewSecrets } from '../../operations/secrets/values.ts'
import type { Context } from '../context.ts'
import { duration, instant } from './time.ts'

/** Adds the options that say when an access token expires. */
export const withExpiryOptions = <A extends unknown[], O extends OptionValues>(command: Command<A, O>) =>
  command
    .addOption(
      new Option('--expires-at <instant>', 'when the access token expires, as in 2027-01-31T12:00:00Z')
        .argParser(instant)
        .conflicts(['expiresIn', 'expiry']),
    )
    .addOption(
      new Option('--expires-in <duration>', 'how long until the access token expires, as in 12h')
        .argParser(duration)
        .conflicts(['expiresAt', 'expiry']),
    )
    .addOption(new Option('--no-expiry', 'the access token never expires').conflicts(['expiresAt', 'expiresIn']))

/** What the options of an expiry are parsed to. */
export interface ExpiryOptions {
  readonly expiresAt?: Instant | undefined
  readonly expiresIn?: number | undefined
  readonly expiry: boolean
}

/** When an access token expires, from those options. */
export function givenExpiry({ expiresAt, expiresIn, expiry }: ExpiryOptions): Expiry {
  if (!expiry) return 'never'
  return expiresIn === undefined ? (expiresAt ?? 'unknown') : instantOf(Date.now() + expiresIn)
}

/** When a new access token expires: as options say, else as a person does. @throws CANCELLED */
export async function askExpiry(
  { prompts }: Context,
  options: ExpiryOptions,
  { accessToken }: NewSecrets,
): Promise<Expiry> {
  const expiry = givenExpiry(options)
  if (expiry !== 'unknown' || !accessToken || !prompts.possible()) return expiry
  const question = 'When does the token expire? (12h, an instant, never; empty: unknown)'
  return typed(await prompts.text(question, '--expires-in, --expires-at or --no-expiry', (text) => void typed(text)))
}

/** @throws BAD_INPUT */
function typed(text: string): Expiry {
  const answer = text.trim()
  if (answer === '' || answer === 'unknown') return 'unknown'
  if (answer === 'never') return 'never'
  const hint = 'write 12h, 2027-01-31T12:00:00Z or never, or leave the answer empty'
  const expiry = timeIn(answer)
  if (expiry === undefined) throw badInput('the answer is not a time', hint)
  if (isPast(expiry)) throw badInput('the answer is in the past', hint)
  return expiry
}

function timeIn(answer: string): Instant | undefined {
  try {
    return /^\d{4}-/.test(answer) ? instant(answer) : instantOf(Date.now() + duration(answer))
  } catch (error) {
    if (error instanceof InvalidArgumentError) return undefined
    throw error
  }
}

const isPast = (expiry: Instant) => Date.parse(expiry) <= Date.now()

/** Warns of an access token that was given with an expiry in the past, as a script that imports tokens may do. */
export function warnIfExpired({ output }: Context, expiry: Expiry): void {
  if (expiry !== 'never' && expiry !== 'unknown' && isPast(expiry))
    output.warn(`the access token has expired already: its expiry is ${expiry}`)
}

/** Notes that the expiry of a new access token is unknown. @param before the one that it replaces */
export function noteExpiry(
  { output, prompts }: Context,
  { tokenExpiry }: Pick<IntegrationView, 'tokenExpiry'>,
  before?: Pick<IntegrationView, 'tokenExpiry' | 'tokenExpiresAt'>,
): void {
  // Who was asked knows.
  if (tokenExpiry !== 'unknown' || prompts.possible()) return
  const was =
    before?.tokenExpiry === 'never'
      ? ', and the previous token never expired'
      : before?.tokenExpiry === 'dated'
        ? `, and the previous token expires at ${before.tokenExpiresAt}`
        : ''
  output.note(
    `the expiry of the access token is unknown${was}; --expires-in, --expires-at or --no-expiry sets the expiry`,
  )
}

import { InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import { parseHeader } from '../../operations/webhooks/raw-request.ts'
import type { Platform } from '../../platforms/platform.ts'
import { platforms } from '../../platforms/platforms.ts'
import type { Context } from '../context.ts'
import { readBytes } from './secret-input.ts'

/** Headers, one by one or from a file, as `webhook sign` writes and curl reads them. @param purpose completes the description */
export const headersOption = (purpose: string) =>
  new Option(
    '--header <header>',
    `${purpose}, as in 'Name: value', or @file for a file of them, a line each; may be given several times`,
  ).argParser((text, given: string[] | undefined): string[] => [...(given ?? []), text])

/** The event of a body, where a header names it. */
export const eventOption = () =>
  new Option(
    '--event <event>',
    `the event of the body, where the platform names it in a header (${named}; default: by what the body holds)`,
  ).argParser((text) => {
    if (!/^\w+$/.test(text)) throw new InvalidArgumentError('write the name of an event, without an action')
    return text
  })

const named = platforms
  .flatMap(({ id, webhooks: { event } }: Platform) => (event ? [`${id}, as in ${event.example}`] : []))
  .join('; ')

/** Reads the headers that `--header` names. @throws BAD_INPUT without the header, which may be a credential */
export async function readHeaders(
  ctx: Context,
  given: readonly string[] = [],
  bodyFile?: string,
): Promise<(readonly [name: string, value: string])[]> {
  if (given.filter((one) => one === '@-').length + (bodyFile === '-' ? 1 : 0) > 1)
    throw badInput('standard input can hold one thing only', 'give the headers or the body by a file')
  const headers: (readonly [name: string, value: string])[] = []
  for (const text of given) {
    const lines = text.startsWith('@')
      ? (await readBytes(ctx, text.slice(1), '--header')).toString('latin1').split(/\r?\n/)
      : [text]
    headers.push(...lines.filter((line) => line !== '' || !text.startsWith('@')).map(parseHeader))
  }
  return headers
}

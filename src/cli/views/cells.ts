import type { Instant } from '../../brands.ts'
import type { IntegrationView, SecretField } from '../../integration.ts'
import type { Json } from '../../json.ts'
import type { Clock } from '../output/clock.ts'
import type { Cell, Tone } from '../output/tone.ts'
import type { Column } from '../output/values.ts'

/** A field that is shown as it is. */
export const value = <F extends string, Row extends { readonly [K in F]: Json }>(field: F): Column<Row> => ({
  field,
  value: (row) => row[field],
})

/** A field that is a name: a table cuts it last, and in the middle. */
export const name = <F extends string, Row extends { readonly [K in F]: Json }>(field: F): Column<Row> => ({
  ...value(field),
  cut: 'middle',
})

/** An instant, as long ago or as on the clock. */
export function timeCell(instant: Instant, { tell }: Clock, tone: Tone = 'plain'): Cell {
  const [text, narrow] = tell(instant)
  return [text, tone, narrow]
}

/** A field that is an instant, under a head of one word; `none` stands for null. */
export const ago = <F extends string, Row extends { readonly [K in F]: Instant | null }>(
  field: F,
  head: string,
  none = '',
): Column<Row> => ({
  field,
  head,
  value: (row) => row[field],
  cell: (row, clock) => {
    const instant: Instant | null = row[field]
    return instant === null ? [none, 'dim'] : timeCell(instant, clock)
  },
})

/** Whether requests are matched with a secret, so that a previous one is accepted; a token is given out. */
export const isMatched = (field: SecretField): boolean => field === 'webhookSecret'

const dueSoonMs = 24 * 3_600_000

/** When an access token expires; `none` stands for no access token. */
export function expiryCell(
  { tokenExpiresAt, tokenExpiry }: Pick<IntegrationView, 'tokenExpiresAt' | 'tokenExpiry'>,
  clock: Clock,
  none: string,
): Cell {
  if (tokenExpiresAt === null)
    return tokenExpiry === null ? [none, 'dim'] : [tokenExpiry, tokenExpiry === 'unknown' ? 'warn' : 'plain']
  const left = Date.parse(tokenExpiresAt) - clock.now
  if (left > 0) return timeCell(tokenExpiresAt, clock, left < dueSoonMs ? 'warn' : 'plain')
  const [text, narrow] = clock.tell(tokenExpiresAt)
  return [`expired ${text}`, 'bad', narrow]
}

import type { Instant } from '../../brands.ts'
import type { IntegrationView } from '../../integration.ts'
import type { Json } from '../../json.ts'
import { relative } from '../input/time.ts'
import type { Cell } from '../output/tone.ts'
import type { Column } from '../output/values.ts'

/** A field that is shown as it is. */
export const value = <F extends string, Row extends { readonly [K in F]: Json }>(field: F): Column<Row> => ({
  field,
  value: (row) => row[field],
})

/** A field that is an instant, shown as how long ago that was; `none` stands for null. */
export const ago = <F extends string, Row extends { readonly [K in F]: Instant | null }>(
  field: F,
  none = '',
): Column<Row> => ({
  field,
  value: (row) => row[field],
  cell: (row, now) => {
    const instant: Instant | null = row[field]
    return instant === null ? [none, 'dim'] : [relative(instant, now), 'plain']
  },
})

const dueSoonMs = 24 * 3_600_000

/** When an access token expires; `none` stands for no access token. */
export function expiryCell(
  { tokenExpiresAt, tokenExpiry }: Pick<IntegrationView, 'tokenExpiresAt' | 'tokenExpiry'>,
  now: number,
  none: string,
): Cell {
  if (tokenExpiresAt === null)
    return tokenExpiry === null ? [none, 'dim'] : [tokenExpiry, tokenExpiry === 'unknown' ? 'warn' : 'plain']
  const left = Date.parse(tokenExpiresAt) - now
  if (left <= 0) return [`expired ${relative(tokenExpiresAt, now)}`, 'bad']
  return [relative(tokenExpiresAt, now), left < dueSoonMs ? 'warn' : 'plain']
}

import { flagOf } from '../../integration.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { relative, remaining } from '../input/time.ts'
import type { View } from '../output/output.ts'
import { plural } from '../output/text.ts'
import type { Tone } from '../output/tone.ts'
import { ago, expiryCell, value } from './cells.ts'

const stateTones = { current: 'good', previous: 'warn', expired: 'dim' } as const satisfies Record<
  SecretVersion['state'],
  Tone
>

/** How the versions of secrets are shown. */
export const secretVersionView: View<SecretVersion> = {
  columns: [
    { field: 'field', value: (row) => flagOf(row.field) },
    value('number'),
    {
      field: 'state',
      value: ({ state }) => state,
      cell: ({ state, validUntil }, now) => {
        const left = state === 'previous' && validUntil ? `, valid for ${remaining(validUntil, now)}` : ''
        return [`${state}${left}`, stateTones[state]]
      },
    },
    value('fingerprint'),
    value('origin'),
    ago('setAt'),
    value('setBy'),
    value('validUntil'),
    { field: 'tokenExpiresAt', value: (row) => row.tokenExpiresAt, cell: (row, now) => expiryCell(row, now, '') },
    value('tokenExpiry'),
    {
      field: 'lastMatchedAt',
      value: (row) => row.lastMatchedAt,
      cell: ({ lastMatchedAt, matchCount }, now) =>
        lastMatchedAt === null
          ? ['no recorded use', 'dim']
          : [`matched ${relative(lastMatchedAt, now)}, ${plural(matchCount, 'time')}`, 'plain'],
    },
    value('matchCount'),
  ],
  short: ['field', 'number', 'state', 'fingerprint', 'setAt', 'setBy', 'tokenExpiresAt', 'lastMatchedAt'],
  id: (row) => `${flagOf(row.field)}:${row.number}`,
}

/** How many expired versions were purged. */
export const purgeView: View<{ readonly purged: number }> = {
  columns: [value('purged')],
  short: ['purged'],
  id: (row) => String(row.purged),
}

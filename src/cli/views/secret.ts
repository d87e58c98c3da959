import { flagOf } from '../../integration.ts'
import type { ListedVersion } from '../../operations/secrets/history.ts'
import type { SecretVersion } from '../../store/tables/secret-metadata.ts'
import { plural } from '../output/text.ts'
import type { Tone } from '../output/tone.ts'
import type { View } from '../output/values.ts'
import { ago, expiryCell, isMatched, value } from './cells.ts'

const stateTones = { current: 'good', previous: 'warn', expired: 'dim' } as const satisfies Record<
  SecretVersion['state'],
  Tone
>

/** How the versions of secrets are shown. */
export const secretVersionView: View<ListedVersion> = {
  columns: [
    { field: 'field', value: (row) => flagOf(row.field) },
    { ...value('number'), head: '#' },
    {
      field: 'state',
      value: ({ state }) => state,
      cell: ({ field, state, validUntil }, { validity }) => {
        if (state !== 'previous' || !validUntil) return [state, stateTones[state]]
        const [text, narrow] = validity(validUntil)
        return [`previous, ${isMatched(field) ? 'valid' : 'kept'} ${text}`, stateTones[state], `previous ${narrow}`]
      },
    },
    value('fingerprint'),
    value('origin'),
    ago('setAt', 'set'),
    { ...value('setBy'), head: 'by', cut: 'end' },
    value('validUntil'),
    {
      field: 'tokenExpiresAt',
      head: 'expires',
      value: (row) => row.tokenExpiresAt,
      cell: (row, clock) => expiryCell(row, clock, ''),
    },
    value('tokenExpiry'),
    {
      field: 'lastMatchedAt',
      head: 'matched',
      value: (row) => row.lastMatchedAt,
      cell: ({ field, lastMatchedAt, matchCount }, { tell }) => {
        if (!isMatched(field)) return ['', 'dim']
        if (lastMatchedAt === null) return ['no recorded use', 'dim', 'no record']
        const [text, narrow] = tell(lastMatchedAt)
        return [`${text}, ${plural(matchCount, 'time')}`, 'plain', narrow]
      },
    },
    value('matchCount'),
    value('revocation'),
  ],
  short: ['field', 'number', 'state', 'fingerprint', 'setAt', 'setBy', 'tokenExpiresAt', 'lastMatchedAt'],
  essential: ['field', 'state', 'lastMatchedAt', 'number', 'tokenExpiresAt', 'fingerprint', 'setAt'],
  id: (row) => `${flagOf(row.field)}:${row.number}`,
}

/** How many expired versions were purged. */
export const purgeView: View<{ readonly purged: number }> = {
  columns: [value('purged')],
  short: ['purged'],
  id: (row) => String(row.purged),
}

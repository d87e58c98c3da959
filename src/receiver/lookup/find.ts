/** Finding the integrations that a webhook may be for. @module */
import type { IntegrationId } from '../../brands.ts'
import { RowsTooLong } from '../../errors.ts'
import type { IntegrationView } from '../../integration.ts'
import type { Reader } from '../../store/store.ts'
import type { IntegrationMatch } from '../../store/tables/integration-filter.ts'
import type { LookupKey } from './keys.ts'

/** How many integrations a lookup finds. */
const maxIntegrations = 1000

/** How many distinct secrets are tried for a request. */
export const maxSecrets = 100

/** The integrations of a key, and whether there are more. */
export interface Found {
  readonly integrations: readonly IntegrationView[]
  readonly truncated: boolean
}

/** What finds integrations. */
type MatchKey = Exclude<LookupKey, { readonly kind: 'strays' }>

/** Reads the integrations of a key. @throws RowsTooLong, and what the store throws */
export async function matching(db: Reader, key: MatchKey): Promise<Found> {
  if (key.kind === 'match') return matchingOne(db, key.match)
  const { ids, truncated } = await idsOf(db, key)
  return { integrations: await byIds(db, ids), truncated }
}

/** Reads the integrations of a name, or of several. @throws RowsTooLong, and what the store throws */
export async function matchingOne(db: Reader, match: IntegrationMatch): Promise<Found> {
  const found = await db.integrations.match(match, maxIntegrations + 1)
  // With some of them alone, a request could be kept from the others unnoticed.
  return found.length > maxIntegrations
    ? { integrations: [], truncated: true }
    : { integrations: found, truncated: false }
}

/** Reads the ids of the integrations of a key, and whether there are more. @throws what the store throws */
export async function idsOf(
  db: Reader,
  key: MatchKey,
): Promise<{ readonly ids: IntegrationId[]; readonly truncated: boolean }> {
  if (key.kind === 'match') {
    const ids = await db.integrations.idsOf(key.match, maxIntegrations + 1)
    return ids.length > maxIntegrations ? { ids: [], truncated: true } : { ids, truncated: false }
  }
  const ids = await db.secrets.holders('webhookSecret', key.platform, maxSecrets + 1)
  return { ids: [...new Set(ids.slice(0, maxSecrets))], truncated: ids.length > maxSecrets }
}

/** Reads the integrations of some ids. @throws RowsTooLong, and what the store throws */
export async function byIds(db: Reader, [first, ...others]: readonly IntegrationId[]): Promise<IntegrationView[]> {
  return first === undefined ? [] : db.integrations.match({ by: 'ids', ids: [first, ...others] }, others.length + 1)
}

/** Reads what ids stand for that is too long to be read at once: a half of them, and a half of that. @throws what reading throws */
export async function inHalves<Id, Part>(
  ids: readonly Id[],
  read: (ids: readonly Id[]) => Promise<Part>,
): Promise<[Part, ...Part[]]> {
  const attempt = async (some: readonly Id[]): Promise<[Part, ...Part[]]> => {
    try {
      return [await read(some)]
    } catch (error) {
      if (!(error instanceof RowsTooLong) || some.length < 2) throw error
      return inHalves(some, read)
    }
  }
  const half = Math.ceil(ids.length / 2)
  const first = await attempt(ids.slice(0, half))
  return half === ids.length ? first : [...first, ...(await attempt(ids.slice(half)))]
}

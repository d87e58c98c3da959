import { keysInvalid } from '../errors.ts'
import { jsonOf, objectOf } from '../json.ts'

/** What keys are for. Encryption keys are replaced; the other two never are. */
export const purposes = ['encryption', 'fingerprint', 'audit'] as const

/** What a key is for. */
export type KeyPurpose = (typeof purposes)[number]

/** A root key. */
export interface RootKey {
  readonly id: string
  readonly use: 'enc' | 'sig'
  /** 32 bytes. */
  readonly bytes: Uint8Array
}

/** Root keys by id. */
export type KeySet = ReadonlyMap<string, RootKey>

/** How many bytes a root key has. */
const keyBytes = 32

/**
 * Reads a JWK Set (RFC 7517) of symmetric keys. Keys of another kind are left out: a set may serve others too.
 *
 * @param source names where it came from, for the message; nothing of the set is ever quoted
 * @param hint what to do when it cannot be used
 * @throws KEYS_INVALID
 */
export function parseKeySet(
  text: string,
  source: string,
  hint = 'ask whoever has the keys of this database for the key set, or name another',
): KeySet {
  const invalid = (why: string) => keysInvalid(`${source} ${why}`, hint)
  const set = jsonOf(text)
  if (set === undefined) throw invalid('is not JSON')
  const list = objectOf(set)?.keys
  if (!Array.isArray(list)) throw invalid('is not a JWK Set: it has no array "keys"')
  const keys = new Map<string, RootKey>()
  for (const [i, jwk] of list.entries()) {
    const { kty, kid, use, k } = objectOf(jwk) ?? {}
    if (kty !== 'oct') continue
    const where = `has a key (number ${i + 1})`
    if (typeof kid !== 'string' || !/^[\w.:-]{1,64}$/.test(kid))
      throw invalid(`${where} whose "kid" is not 1 to 64 letters, digits and . _ : -`)
    if (use !== 'enc' && use !== 'sig') throw invalid(`${where} whose "use" is neither enc nor sig`)
    if (typeof k !== 'string' || !/^[\w-]{43}$/.test(k)) throw invalid(`${where} whose "k" is not 256 bits`)
    if (keys.has(kid)) throw invalid(`has two keys ${kid}`)
    keys.set(kid, { id: kid, use, bytes: Buffer.from(k, 'base64url') })
  }
  return keys
}

/** A JWK Set of symmetric keys as text, for a file. */
export const keySetText = (keys: Iterable<RootKey>): string =>
  `${JSON.stringify({ keys: Array.from(keys, jwk) }, null, 2)}\n`

/** A root key as a JWK. */
export const jwk = ({ id, use, bytes }: RootKey) => ({
  kty: 'oct',
  kid: id,
  use,
  k: Buffer.from(bytes).toString('base64url'),
})

/** A new root key; what it is for stands in its id: of older encryption keys as `seal`. */
export const newKey = (purpose: KeyPurpose): RootKey => ({
  id: `${purpose === 'encryption' ? 'enc' : purpose}-${Buffer.from(random(6)).toString('hex')}`,
  use: purpose === 'encryption' ? 'enc' : 'sig',
  bytes: random(keyBytes),
})

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))

/** The key of a set that a new database is to use for a purpose: the last of its kind, as keys are added at the end. */
export const keyFor = (set: KeySet, purpose: KeyPurpose): RootKey | undefined =>
  [...set.values()]
    .filter(({ id, use }) => (purpose === 'encryption' ? use === 'enc' : use === 'sig' && id.startsWith(`${purpose}-`)))
    .at(-1)

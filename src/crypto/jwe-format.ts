import type { Instant } from '../brands.ts'
import { jsonOf, objectOf } from '../json.ts'

// The protected header of a JWE has {"alg":"dir","enc":"A256GCM","kid":…}, and of a previous value "number" and "until" too;
// the encrypted key is empty, the vector has 12 bytes and the tag 16. https://www.rfc-editor.org/rfc/rfc7516#section-3.1
const compactJwe = /^(eyJ[\w-]{20,200})\.\.[\w-]{16}\.(?:[\w-]{4})*(?:[\w-]{2,3})?\.[\w-]{22}$/

/** Whether a text has exactly the form of an encrypted value, whichever key encrypts it. */
export const isEncrypted = (text: string): boolean => keyIdOf(text) !== undefined

/** What the header of an encrypted value says. */
export interface Header {
  /** The id of the key that encrypts the value. */
  readonly keyId: string
  /** Which previous value of a secret it is; undefined for a current value. */
  readonly previous: PreviousValue | undefined
}

/** A value that was replaced, and is accepted for a while. */
export interface PreviousValue {
  /** Of the version. */
  readonly number: number
  /** Until when it is accepted. */
  readonly until: Instant
}

/** The id of the key that a value is encrypted with; undefined when the text is not exactly of the form. */
export const keyIdOf = (text: string): string | undefined => headerOf(text)?.keyId

/** Reads the header of an encrypted value, which only decrypting proves; undefined when the text is not exactly of the form. */
export function headerOf(text: string): Header | undefined {
  const [, header] = compactJwe.exec(text) ?? []
  if (header === undefined) return undefined
  const { alg, enc, kid, number, until, ...others } =
    objectOf(jsonOf(Buffer.from(header, 'base64url').toString())) ?? {}
  const ours = alg === 'dir' && enc === 'A256GCM' && Object.keys(others).length === 0
  if (!ours || typeof kid !== 'string') return undefined
  if (number === undefined && until === undefined) return { keyId: kid, previous: undefined }
  return typeof number === 'number' && typeof until === 'string'
    ? { keyId: kid, previous: { number, until: until as Instant } }
    : undefined
}

import { jsonOf, objectOf } from '../json.ts'

// The protected header of a JWE has {"alg":"dir","enc":"A256GCM","kid":…}, the encrypted key is empty, the vector has
// 12 bytes and the tag 16. https://www.rfc-editor.org/rfc/rfc7516#section-3.1
const compactJwe = /^(eyJ[\w-]{20,200})\.\.[\w-]{16}\.(?:[\w-]{4})*(?:[\w-]{2,3})?\.[\w-]{22}$/

/** Whether a text has exactly the form of an encrypted value, whichever key encrypts it. */
export const isEncrypted = (text: string): boolean => keyIdOf(text) !== undefined

/** The id of the key that a value is encrypted with; undefined when the text is not exactly of the form. */
export function keyIdOf(text: string): string | undefined {
  const [, header] = compactJwe.exec(text) ?? []
  if (header === undefined) return undefined
  const { alg, enc, kid, ...others } = objectOf(jsonOf(Buffer.from(header, 'base64url').toString())) ?? {}
  const ours = alg === 'dir' && enc === 'A256GCM' && Object.keys(others).length === 0
  return ours && typeof kid === 'string' ? kid : undefined
}

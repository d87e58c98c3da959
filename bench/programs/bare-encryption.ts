import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** A root key. */
export interface Root {
  readonly id: string
  readonly bytes: Buffer
}

/** The encryption of values with Node's own functions alone, as RFC 7516 and RFC 5869 describe it. */
const keyOf = ({ bytes }: Root, id: string) =>
  new Uint8Array(hkdfSync('sha256', bytes, '', `integrations/v1\0${id}\0webhook_secret`, 32))

/** Encrypts the webhook secret of an integration. */
export function encrypt(root: Root, id: string, value: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: root.id })).toString('base64url')
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', keyOf(root, id), iv).setAAD(Buffer.from(header))
  const text = Buffer.concat([cipher.update(value), cipher.final()])
  return [header, '', ...[iv, text, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

/** Decrypts it. */
export function decrypt(root: Root, id: string, encrypted: string): string {
  const [header = '', , ...parts] = encrypted.split('.')
  const [iv, text, tag] = parts.map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer]
  const decipher = createDecipheriv('aes-256-gcm', keyOf(root, id), iv, { authTagLength: 16 })
  decipher.setAAD(Buffer.from(header)).setAuthTag(tag)
  return Buffer.concat([decipher.update(text), decipher.final()]).toString()
}

/** The key that a value's header names. */
export const keyIdOf = (encrypted: string): string =>
  JSON.parse(Buffer.from(encrypted.split('.')[0] ?? '', 'base64url').toString()).kid

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** The same work as seal-and-open.ts with Node's own functions alone. */
const root = randomBytes(32)
const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: 'seal-1' })).toString('base64url')
const cellKey = (id: string) =>
  new Uint8Array(hkdfSync('sha256', root, '', `integrations/v1\0${id}\0webhook_secret`, 32))

function seal(id: string, value: string): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', cellKey(id), iv).setAAD(Buffer.from(header))
  const text = Buffer.concat([cipher.update(value), cipher.final()])
  return [header, '', ...[iv, text, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

function open(id: string, sealed: string): string {
  const [protectedHeader = '', , ...parts] = sealed.split('.')
  const [iv, text, tag] = parts.map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer]
  const decipher = createDecipheriv('aes-256-gcm', cellKey(id), iv, { authTagLength: 16 })
  decipher.setAAD(Buffer.from(protectedHeader)).setAuthTag(tag)
  return Buffer.concat([decipher.update(text), decipher.final()]).toString()
}

for (let i = 0; i < Number(process.argv[2]); i++)
  if (open(`integration-${i}`, seal(`integration-${i}`, `value-${i}`)) !== `value-${i}`) throw new Error('it differs')

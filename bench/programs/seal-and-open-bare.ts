import { randomBytes } from 'node:crypto'
import { decrypt, encrypt } from './bare-encryption.ts'

/** The same work as seal-and-open.ts with Node's own functions alone. */
const root = { id: 'seal-1', bytes: randomBytes(32) }

for (let i = 0; i < Number(process.argv[2]); i++)
  if (decrypt(root, `integration-${i}`, encrypt(root, `integration-${i}`, `value-${i}`)) !== `value-${i}`)
    throw new Error('it differs')

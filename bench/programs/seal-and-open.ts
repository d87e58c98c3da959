import { randomBytes } from 'node:crypto'
import { decrypt, encrypt } from '../../src/crypto/jwe.ts'
import { Secret } from '../../src/secret.ts'

/** Seals and opens as many values as the argument says, each for a cell of its own, as the program does. */
const key = { id: 'seal-1', use: 'enc', bytes: randomBytes(32) } as const
const keys = new Map([[key.id, key]])
async function run(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const cell = { id: `integration-${i}`, field: 'webhook_secret' }
    const value = new Secret(`value-${i}`)
    if (decrypt(keys, cell, encrypt(key, cell, value)).reveal() !== value.reveal()) throw new Error('it differs')
  }
}

void run(Number(process.argv[2]))

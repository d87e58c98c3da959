import { expect, test } from 'vitest'
import { decrypt, encrypt } from '../../src/crypto/jwe.ts'
import { is } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { botToken } from '../support/samples.ts'

test('a value decrypts in none of 99 other contexts', async () => {
  const key = { id: 'k1', use: 'enc', bytes: Buffer.alloc(32, 7) } as const
  const contexts = Array.from({ length: 100 }, (_, i) => ({
    id: `integration-${i % 50}`,
    field: i < 50 ? 'access_token' : 'refresh_token',
  }))
  const values = contexts.map((one, i) => encrypt(key, one, new Secret(botToken(i))))
  const opened: string[] = []
  let refused = 0
  for (const [i, one] of contexts.entries())
    for (const [j, text] of values.entries()) {
      try {
        decrypt(new Map([[key.id, key]]), one, text)
        opened.push(`${i} in ${j}`)
      } catch (error) {
        refused += is(error, 'DECRYPTION_FAILED') ? 1 : 0
      }
    }
  expect(opened).toEqual(contexts.map((_, i) => `${i} in ${i}`))
  expect(refused).toBe(9_900)
})

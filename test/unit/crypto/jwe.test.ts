import { readFileSync } from 'node:fs'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Instant } from '../../../src/brands.ts'
import { decrypt, type EncryptionContext, encrypt } from '../../../src/crypto/jwe.ts'
import { headerOf, isEncrypted } from '../../../src/crypto/jwe-format.ts'
import type { RootKey } from '../../../src/crypto/key-set.ts'
import type { IntegrationsError } from '../../../src/errors.ts'
import { Secret } from '../../../src/secret.ts'
import { botToken } from '../../support/samples.ts'

interface Vector {
  cell: EncryptionContext
  keyId: string
  rootKey: string
  cellKey: string
  /** Joined here, so that no scanner takes them for leaked tokens. */
  plaintextParts: string[]
  sealed: string
}

const vectors: Vector[] = JSON.parse(readFileSync('test/unit/crypto/vectors.json', 'utf8'))

const rootKey = (id: string, hex: string): RootKey => ({ id, use: 'enc', bytes: Buffer.from(hex, 'hex') })
const set = (...keys: RootKey[]) => new Map(keys.map((key) => [key.id, key]))

/** What a text opens to in a cell, or the code of the error. */
const outcome = (keys: ReadonlyMap<string, RootKey>, cell: EncryptionContext, text: string): string => {
  try {
    return `opened: ${decrypt(keys, cell, text).reveal()}`
  } catch (error) {
    return (error as IntegrationsError).code
  }
}

describe.each(vectors)(
  'the vector of $cell.field',
  ({ cell, keyId, rootKey: hex, cellKey, plaintextParts, sealed }) => {
    const key = rootKey(keyId, hex)
    const plaintext = plaintextParts.join('')

    test('opens in its own cell', () => {
      expect(outcome(set(key), cell, sealed)).toBe(`opened: ${plaintext}`)
    })

    test('opens in no other', () => {
      const field = cell.field === 'webhook_secret' ? 'access_token' : 'webhook_secret'
      const other = rootKey('k2', hex)
      expect({
        id: outcome(set(key), { ...cell, id: cell.id.replace(/1$/, '2') }, sealed),
        field: outcome(set(key), { ...cell, field }, sealed),
        // What belongs to the one must not run into the other.
        boundary: outcome(set(key), { id: `${cell.id}\0${cell.field}`, field: '' }, sealed),
        keyId: outcome(set(other), cell, sealed),
        relabelled: outcome(set(key, other), cell, sealed.replace(/^[^.]*/, header(other.id))),
        key: outcome(set(rootKey(keyId, hex.replace(/^00/, '01'))), cell, sealed),
        use: outcome(set({ ...key, use: 'sig' }), cell, sealed),
      }).toEqual({
        id: 'DECRYPTION_FAILED',
        field: 'DECRYPTION_FAILED',
        boundary: 'DECRYPTION_FAILED',
        keyId: 'KEY_NOT_FOUND',
        relabelled: 'DECRYPTION_FAILED',
        key: 'DECRYPTION_FAILED',
        use: 'KEY_NOT_FOUND',
      })
    })

    test('is sealed with the key of its cell', async () => {
      const ours = encrypt(key, cell, new Secret(plaintext))
      const { plaintext: opened, protectedHeader } = await compactDecrypt(ours, Buffer.from(cellKey, 'hex'))
      expect({ opened: Buffer.from(opened).toString(), protectedHeader }).toEqual({
        opened: plaintext,
        protectedHeader: { alg: 'dir', enc: 'A256GCM', kid: keyId },
      })
      expect(ours.length).toBe(sealed.length)
      expect(ours).not.toBe(sealed)
    })

    test('opens when another program has sealed it', async () => {
      const theirs = await new CompactEncrypt(Buffer.from(plaintext))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: keyId })
        .encrypt(Buffer.from(cellKey, 'hex'))
      expect(outcome(set(key), cell, theirs)).toBe(`opened: ${plaintext}`)
    })

    test('opens with any letter changed, dropped or doubled where it does for another program, and nowhere else', async () => {
      const differing: unknown[] = []
      for (let at = 0; at < sealed.length; at++)
        for (const letter of ['', 'A', '-', '.', (sealed[at] ?? '').repeat(2)]) {
          const text = sealed.slice(0, at) + letter + sealed.slice(at + 1)
          const ours = outcome(set(key), cell, text).startsWith('opened')
          const theirs = await compactDecrypt(text, Buffer.from(cellKey, 'hex')).then(
            () => true,
            () => false,
          )
          if (ours !== theirs) differing.push([at, letter, ours])
        }
      expect(differing).toEqual([])
    })

    test('does not open with any bit changed', () => {
      const opened: string[] = []
      for (let at = 0; at < sealed.length; at++)
        for (let bit = 0; bit < 8; bit++) {
          const bytes = Buffer.from(sealed, 'latin1')
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
          const text = bytes.toString('latin1')
          if (outcome(set(key), cell, text).startsWith('opened')) opened.push(text)
        }
      // The last letter of the value and of the tag has bits that stand for nothing: these are the same token.
      expect(opened.filter((text) => !sameToken(text, sealed))).toEqual([])
      expect(opened.length).toBeLessThanOrEqual(8)
    })
  },
)

const header = (kid: string) => Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid })).toString('base64url')

/** Whether two texts hold the very same bytes; the header counts as the text that it is. */
function sameToken(a: string, b: string): boolean {
  const parts = (text: string) => {
    const [head = '', ...rest] = text.split('.')
    return [head, ...rest.map((part) => Buffer.from(part, 'base64url').toString('hex'))].join('.')
  }
  return parts(a) === parts(b)
}

const key = rootKey('k1', '07'.repeat(32))
const cell = { id: 'a', field: 'access_token' }

test('a tag that was cut short is refused', async () => {
  const text = encrypt(key, cell, new Secret('value'))
  const tag = Buffer.from(text.split('.')[4] ?? '', 'base64url')
  for (const length of [4, 8, 12, 15]) {
    const short = text.replace(/[^.]*$/, tag.subarray(0, length).toString('base64url'))
    expect([length, isEncrypted(short), outcome(set(key), cell, short)]).toEqual([length, false, 'DECRYPTION_FAILED'])
  }
})

test('what has not exactly the form is not sealed', async () => {
  const text = encrypt(key, cell, new Secret('value'))
  const head = (header: object) => text.replace(/^[^.]*/, Buffer.from(JSON.stringify(header)).toString('base64url'))
  expect(isEncrypted(text)).toBe(true)
  for (const other of [
    ...['\n', ' ', '=', '\0', '.'].flatMap((extra) => [`${text}${extra}`, `${extra}${text}`]),
    text.replace('..', '.=.'),
    text.replace('..', '.AAAA.'),
    `${text}\n${text}`,
    head({ alg: 'dir', enc: 'A256GCM' }),
    head({ alg: 'dir', enc: 'A256GCM', kid: 1 }),
    head({ alg: 'dir', enc: 'A128GCM', kid: 'k1' }),
    head({ alg: 'A256KW', enc: 'A256GCM', kid: 'k1' }),
    head({ alg: 'dir', enc: 'A256GCM', kid: 'k1', zip: 'DEF' }),
    head({ alg: 'dir', enc: 'A256GCM', kid: 'k1', crit: ['exp'] }),
    '',
    botToken(),
  ]) {
    expect([other, isEncrypted(other)]).toEqual([other, false])
    expect(outcome(set(key), cell, other)).toBe('DECRYPTION_FAILED')
  }
})

test.each(['', ' ', 'ünïcödé 🔑', '\ufeffbom', 'line\nline', 'x'.repeat(10_000)])(
  'what is sealed opens as it was: %#',
  async (value) => {
    const text = encrypt(key, cell, new Secret(value))
    expect(isEncrypted(text)).toBe(true)
    expect(outcome(set(key), cell, text)).toBe(`opened: ${value}`)
  },
)

const until = '2026-12-01T00:00:00.000Z' as Instant
const previous = { number: 3, until }

test('a previous value opens as the one that its header names, and as no other', () => {
  const text = encrypt(key, { ...cell, previous }, new Secret('value'))
  const current = encrypt(key, cell, new Secret('value'))
  const open = (which: EncryptionContext['previous'], what = text) =>
    outcome(set(key), which ? { ...cell, previous: which } : cell, what)
  expect([headerOf(text), headerOf(current)]).toEqual([
    { keyId: 'k1', previous },
    { keyId: 'k1', previous: undefined },
  ])
  expect([open(previous), open(undefined, current)]).toEqual(['opened: value', 'opened: value'])
  for (const attempt of [
    open(undefined),
    open({ number: 4, until }),
    open({ number: 3, until: '2026-12-02T00:00:00.000Z' as Instant }),
    open(previous, current),
  ])
    expect(attempt).toBe('DECRYPTION_FAILED')
})

test.each([
  { number: 3 },
  { until },
  { number: '3', until },
  { number: 3, until: 1 },
  { number: null, until: null },
  { number: 3, until, other: 1 },
])('a header that names a previous value in another way is none: %j', (members) => {
  const text = encrypt(key, { ...cell, previous }, new Secret('value'))
  const named = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: 'k1', ...members })).toString('base64url')
  expect(headerOf(text.replace(/^[^.]*/, named))).toBeUndefined()
})

test('bytes that are no text are not opened, even where the key is right', async () => {
  const [vector] = vectors
  if (!vector) throw new Error('there are vectors')
  const text = await new CompactEncrypt(Uint8Array.of(0x76, 0xff))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: vector.keyId })
    .encrypt(Buffer.from(vector.cellKey, 'hex'))
  expect(outcome(set(rootKey(vector.keyId, vector.rootKey)), vector.cell, text)).toBe('DECRYPTION_FAILED')
})

test('errors say what cannot be decrypted, why, and what to do', () => {
  const text = encrypt(key, cell, new Secret('value'))
  const error = (work: () => unknown) => {
    try {
      return work()
    } catch (error) {
      const { code, message, hint } = error as IntegrationsError
      return { code, message, hint }
    }
  }
  expect([
    error(() => decrypt(set(), cell, text)),
    error(() => decrypt(set(key), { ...cell, field: 'webhook_secret' }, text)),
  ]).toEqual([
    {
      code: 'KEY_NOT_FOUND',
      message: 'a value is encrypted with the key k1, which is not in the key set',
      hint: 'add the key to the set that INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND names',
    },
    {
      code: 'DECRYPTION_FAILED',
      message: 'the stored webhook secret cannot be decrypted: it was changed, or belongs to another row',
      hint: 'integrations audit verify shows since when; store the value again with integrations rotate --end-previous --grace 0',
    },
  ])
})

import { createHmac, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  matches,
  matchesInTurns,
  readSignature,
  type SignatureScheme,
  signedHeaders,
} from '../../../src/platforms/signature.ts'
import { Secret } from '../../../src/secret.ts'

const secret = new Secret('a secret')
const signed = (body: Uint8Array, value = secret.reveal()) => ({
  readable: true as const,
  digest: createHmac('sha256', value).update('v0:1:').update(body).digest(),
  before: 'v0:1:',
  skew: 0,
})

test('a body in pieces has the signature of the whole, and no other', async () => {
  const body = randomBytes(3 * 1_048_576 + 1)
  for (const cuts of [[], [1], [4096, 8192], [1_048_576, 1_048_577], [3 * 1_048_576], [0, 0, 7]]) {
    const pieces = [0, ...cuts].map((from, i) => body.subarray(from, cuts[i]))
    const wrong = [...pieces.slice(0, -1), Buffer.concat([pieces.at(-1) ?? body, Buffer.of(0)])]
    expect([
      matches(signed(body), secret, Buffer.concat(pieces)),
      await matchesInTurns(signed(body), secret, pieces),
      await matchesInTurns(signed(body, 'another'), secret, pieces),
      await matchesInTurns(signed(body), secret, wrong),
    ]).toEqual([true, true, false, false])
  }
  expect(await matchesInTurns(signed(Buffer.of()), secret, [])).toBe(true)
})

test('while a large body is hashed, other work has its turn, and while a small one is, none', async () => {
  const turnsOf = async (pieces: readonly Uint8Array[]) => {
    let turns = 0
    let over = false
    const count = () => {
      turns++
      if (!over) setImmediate(count)
    }
    setImmediate(count)
    await matchesInTurns(signed(Buffer.of()), secret, pieces)
    over = true
    return turns
  }
  const block = randomBytes(65_536)
  const large = [await turnsOf(Array(80).fill(block)), await turnsOf([randomBytes(5 * 1_048_576)])]
  expect([await turnsOf([block]), large.map((turns) => turns >= 4)]).toEqual([0, [true, true]])
})

const timed: SignatureScheme = {
  id: 'timed',
  header: 'x-signature',
  prefix: 'v0=',
  timestamp: { header: 'x-time', toleranceSeconds: 300, before: (at) => `v0:${at}:` },
  also: { 'x-more': 'yes' },
}
const plain: SignatureScheme = { id: 'plain', header: 'x-signature', prefix: '' }
const now = 1_700_000_000_999

// Computed apart from this program, in Python.
const body = Buffer.from('{"a":1}')
const shared = new Secret('s3cr3t-é')
const digests = {
  timed: 'ceb1a5ae7f206a19754232c423c8d0f3e405d61c29d32f326889ebedb06034c8',
  plain: '45e107a3ececaea84c74e5afb1f711ecc39cda052f10522675ec3201e6b32aed',
}

test('what is signed has the known headers, and reads as what was signed', () => {
  const signed = { secret: shared, body, now }
  const headers = {
    timed: { 'x-more': 'yes', 'x-time': '1700000000', 'x-signature': `v0=${digests.timed}` },
    plain: { 'x-signature': digests.plain },
  }
  expect([signedHeaders(timed, signed), signedHeaders(plain, signed)]).toEqual([headers.timed, headers.plain])
  const read = (scheme: SignatureScheme, of: Record<string, string>) =>
    readSignature(scheme, { headers: new Headers(of) }, now)
  expect([read(timed, headers.timed), read(plain, headers.plain)]).toEqual([
    { readable: true, digest: Buffer.from(digests.timed, 'hex'), before: 'v0:1700000000:', skew: 0 },
    { readable: true, digest: Buffer.from(digests.plain, 'hex'), before: '', skew: null },
  ])
})

const good = `v0=${'a1'.repeat(32)}`
const unreadable = (why: string, header: string, skew: number | null = null) => ({ readable: false, why, header, skew })

const at = (seconds: number) => ({ 'x-signature': good, 'x-time': String(1_700_000_000 + seconds) })
const readings: readonly (readonly [headers: { readonly [name: string]: string }, signature: object])[] = [
  [{}, unreadable('missing', 'x-signature')],
  [{ 'x-time': '1700000000' }, unreadable('missing', 'x-signature')],
  [{ 'x-signature': good }, unreadable('missing', 'x-time')],
  ...[
    good.slice(3),
    `V0=${good.slice(3)}`,
    `v1=${good.slice(3)}`,
    good.slice(0, -1),
    `${good}0`,
    `0${good}`,
    'v0=',
  ].map((text) => [{ ...at(0), 'x-signature': text }, unreadable('malformed', 'x-signature')] as const),
  [{ ...at(0), 'x-signature': good.replaceAll('a', 'A') }, unreadable('malformed', 'x-signature')],
  ...['', 'now', '-1', '1.5', '1700000000 1', '1234567890123', '0x1'].map(
    (text) => [{ ...at(0), 'x-time': text }, unreadable('malformed', 'x-time')] as const,
  ),
  ...[-301, 301, -1_700_000_000].map((skew) => [at(skew), unreadable('stale', 'x-time', skew)] as const),
  ...[-300, 300, 1].map((skew) => {
    const before = `v0:${1_700_000_000 + skew}:`
    return [at(skew), { readable: true, digest: Buffer.alloc(32, 0xa1), before, skew }] as const
  }),
]

test.each(readings)('the headers %j are read', (headers, signature) => {
  expect(readSignature(timed, { headers: new Headers(headers) }, now)).toEqual(signature)
})

import { createHmac, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { matches, matchesInTurns } from '../../../src/platforms/signature.ts'
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

import fc from 'fast-check'
import { test } from 'vitest'
import { eventMac } from '../../src/crypto/hmac.ts'
import { newKey } from '../../src/crypto/key-set.ts'

const key = newKey('audit')
const letters = ['1', '2', '0', ':', ';', '-', 'ä', '😀'] as const

test('no two events have the same hash, wherever their columns begin and end', () => {
  const text = fc.string({ unit: fc.constantFrom(...letters), maxLength: 24 })
  const cuts = fc.array(fc.nat(24), { minLength: 3, maxLength: 3 })
  const nulls = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })
  /** The same text, as columns that begin and end elsewhere; an empty one may be none. */
  const columns = (whole: string, at: number[], none: boolean[]) => {
    const places = [0, ...at.map((place) => Math.min(place, whole.length)).sort((a, b) => a - b), whole.length]
    return places.slice(1).map((end, i) => {
      const part = whole.slice(places[i], end)
      return part === '' && none[i] ? null : part
    })
  }
  fc.assert(
    fc.property(text, cuts, nulls, cuts, nulls, (whole, cutsA, nullsA, cutsB, nullsB) => {
      const [a, b] = [columns(whole, cutsA, nullsA), columns(whole, cutsB, nullsB)]
      const same = JSON.stringify(a) === JSON.stringify(b)
      return (eventMac(key, 'x', a) === eventMac(key, 'x', b)) === same
    }),
    { numRuns: 3000 },
  )
})

import { expectTypeOf, test } from 'vitest'
import type { Fingerprint, Instant, IntegrationId } from '../../src/brands.ts'
import type { IntegrationView, Token } from '../../src/receiver/receiver.ts'
import { fingerprint, instant, integrationId } from '../support/brands.ts'

// `npm run check` fails where a type here is another; at run time there is nothing to see.

const takesInstant = (_: Instant) => {}
const takesId = (_: IntegrationId) => {}
const takesFingerprint = (_: Fingerprint) => {}
const now = instant('2026-01-02T03:04:05.000Z')

test('an instant, an id of an integration and a fingerprint are not taken for each other, nor a text for any of them', () => {
  // @ts-expect-error
  takesFingerprint(now)
  // @ts-expect-error
  takesId(now)
  // @ts-expect-error
  takesInstant(integrationId('i'))
  // @ts-expect-error
  takesFingerprint(integrationId('i'))
  // @ts-expect-error
  takesId(fingerprint('0123456789abcdef'))
  // @ts-expect-error
  takesInstant('2026-01-02T03:04:05.000Z')
  // @ts-expect-error
  takesId('i')
  // @ts-expect-error
  takesFingerprint('0123456789abcdef')
})

test('to applications, all of them are texts', () => {
  expectTypeOf<IntegrationView['id' | 'createdAt']>().toExtend<string>()
  expectTypeOf<Token['expiresAt']>().toExtend<string | null>()
})

import { expect, test } from 'vitest'
import { fingerprint as fingerprintOf } from '../../../src/crypto/hmac.ts'
import { encrypt } from '../../../src/crypto/jwe.ts'
import type { PreviousValue } from '../../../src/crypto/jwe-format.ts'
import { newKey } from '../../../src/crypto/key-set.ts'
import { IntegrationsError } from '../../../src/errors.ts'
import { Secret } from '../../../src/secret.ts'
import { type AuditEvent, eventColumns, eventFormat, eventHash } from '../../../src/store/audit/events.ts'
import type { PreviousValues } from '../../../src/store/audit/head.ts'
import type { VersionState } from '../../../src/store/audit/row-state.ts'
import type { StoredAccepted } from '../../../src/store/secrets/accepted.ts'
import { decryptAccepted } from '../../../src/store/secrets/decrypt-accepted.ts'
import type { EncryptionMode } from '../../../src/store/tables/keys.ts'
import { fingerprint, instant, integrationId } from '../../support/brands.ts'

const [key, fingerprintKey, auditKey] = [newKey('encryption'), newKey('fingerprint'), newKey('audit')]
const keyring = { keys: new Map([[key.id, key]]), encryptionKey: key, fingerprintKey, auditKey }
const id = integrationId('i')
const field = 'webhook_secret'
const until = instant('2026-01-02T00:00:00.000Z')
const later = instant('2027-01-02T00:00:00.000Z')

const print = (value: string) => fingerprintOf(fingerprintKey, new Secret(value))
const encrypted = (value: string, previous?: PreviousValue) =>
  encrypt(key, { id, field, ...(previous ? { previous } : {}) }, new Secret(value))

/** The newest event about the integration, which lists versions of its secrets. */
function event(secrets: readonly Partial<VersionState>[], more: Partial<AuditEvent> = {}): AuditEvent {
  const columns = Object.fromEntries(Object.keys(eventColumns).map((column) => [column, null]))
  const state = JSON.stringify({ columns: {}, secrets })
  const event = {
    ...columns,
    seq: '7',
    state,
    format: String(eventFormat),
    previousHash: 'before',
    ...more,
  } as AuditEvent
  return { ...event, hash: eventHash(keyring, 'before', event) }
}

const currentListed = { field, number: 2, fingerprint: print('new'), valid_until: null }
const previousListed = { field, number: 1, fingerprint: print('old'), valid_until: until }

type Version = StoredAccepted['versions'][number]
const current: Version = { number: 2, fingerprint: print('new'), keyId: key.id, sealed: null, validUntil: null }
const previous = (more: Partial<Version> = {}): Version => ({
  number: 1,
  fingerprint: print('old'),
  keyId: key.id,
  sealed: encrypted('old', { number: 1, until }),
  validUntil: until,
  ...more,
})

const hints = new Set<string>()

/** What is accepted of a rotated secret, of which something is different, and the messages of what is not. */
function accepted(
  more: Partial<StoredAccepted> = {},
  { mode = 'required', says = 'bound' }: { mode?: EncryptionMode; says?: PreviousValues } = {},
) {
  const stored: StoredAccepted = {
    ...{ id, field: 'webhookSecret', current: encrypted('new'), versions: [current, previous()] },
    ...{ newest: event([currentListed, previousListed]), ...more },
  }
  const refused: string[] = []
  const values = decryptAccepted({ keyring, mode, previous: says }, stored, (error) => {
    if (!(error instanceof IntegrationsError)) throw error
    refused.push(`${error.code}: ${error.message}`)
    hints.add(error.hint)
  })
  return [values.map(({ number, value, validUntil }) => [number, value.reveal(), validUntil]), ...refused]
}

const [theNew, theOld] = [
  [2, 'new', null],
  [1, 'old', until],
]
const notRecorded =
  'DECRYPTION_FAILED: the stored webhook secret is not the recorded one: another program has replaced it'
const undecryptable =
  'DECRYPTION_FAILED: the stored webhook secret cannot be decrypted: it was changed, or belongs to another row'
const changedEvent =
  'DATABASE_INVALID: the newest event about the integration i was changed, so which of its secrets are accepted is unknown'

/** A previous value as versions before have left it, which does not say which one it is. */
const unbound = (value = 'old', more: Partial<Version> = {}) => [
  current,
  previous({ sealed: encrypted(value), ...more }),
]

test('both values of a rotation are accepted with their fingerprints, the current one first', () => {
  const bound = accepted()
  const others = (['recorded', 'unrecorded'] as const).map((says) => accepted({ versions: unbound() }, { says }))
  expect([bound, ...others]).toEqual(Array(3).fill([[theNew, theOld]]))
  const stored = {
    id,
    field: 'webhookSecret',
    versions: [current, previous()],
    newest: event([currentListed, previousListed]),
  } as const
  const values = decryptAccepted(
    { keyring, mode: 'required', previous: 'bound' },
    { ...stored, current: encrypted('new') },
    () => {},
  )
  expect(values.map(({ fingerprint }) => fingerprint)).toEqual([print('new'), print('old')])
})

test('a previous value is accepted as the one that the newest event lists, and as no other', () => {
  const listing = (...secrets: Partial<VersionState>[]) => accepted({ newest: event([currentListed, ...secrets]) })
  expect([
    listing(),
    listing({ ...previousListed, number: 3 }),
    listing({ ...previousListed, valid_until: later }),
    listing({ ...previousListed, field: 'access_token' }),
    listing({ ...previousListed, fingerprint: print('another') }),
    accepted({ versions: [current, previous({ validUntil: later })] }),
    accepted({ versions: unbound('another') }, { says: 'recorded' }),
    accepted({ versions: unbound('another') }, { says: 'unrecorded' }),
  ]).toEqual(Array(8).fill([[theNew], notRecorded]))
  // What is recorded in its row says nothing beside the event.
  const renamed = { fingerprint: print('another') }
  expect(accepted({ versions: [current, previous(renamed)] })).toEqual([[theNew, theOld]])
  // Without an event, its row does; one that no version recorded is what it is.
  expect(accepted({ versions: unbound('old', { fingerprint: null }) }, { says: 'unrecorded' })).toEqual([
    [theNew, theOld],
  ])
})

test('a previous value is accepted in its own form alone', () => {
  expect([
    accepted({ versions: unbound() }),
    accepted({ versions: [current, previous({ sealed: encrypted('old', { number: 1, until: later }) })] }),
    accepted({ versions: [current, previous()] }, { says: 'recorded' }),
    accepted({ versions: [current, previous({ sealed: 'rubbish' })] }),
  ]).toEqual(Array(4).fill([[theNew], undecryptable]))
  // One whose value was destroyed is none, nor is what a current version keeps.
  expect(accepted({ versions: [{ ...current, sealed: encrypted('old') }, previous({ sealed: null })] })).toEqual([
    [theNew],
  ])
})

test('where the newest event was changed, nothing is accepted; where none tells of secrets, no previous value', () => {
  const newest = event([currentListed, previousListed])
  expect([
    accepted({ newest: { ...newest, state: JSON.stringify({ columns: {} }) } }),
    accepted({ newest: { ...newest, hash: '0' } }),
    accepted({ newest: { ...newest, damage: ['newest'] } as StoredAccepted['newest'] }),
  ]).toEqual(Array(3).fill([[], changedEvent]))
  expect(hints).toContain('integrations audit verify; then store the secret again with integrations rotate')
  // An event of a version before tells that something was recorded, and not what.
  expect(accepted({ newest: event([], { format: null, state: null }) })).toEqual([[theNew], notRecorded])
  expect(accepted({ newest: null })).toEqual([[], notRecorded, notRecorded])
  expect(accepted({ newest: event([], { state: null }) })).toEqual([[], notRecorded, notRecorded])
  expect(accepted({ newest: null, versions: unbound() }, { says: 'unrecorded' })).toEqual([[theNew, theOld]])
})

test('a current value is accepted as the event lists it where this program alone writes, else whatever it is', () => {
  const foreign = { current: encrypted('foreign') }
  const asApplication = [[null, 'foreign', null], theOld]
  expect([accepted(foreign), accepted({ current: 'foreign' })]).toEqual([
    [[theOld], notRecorded],
    [[theOld], expect.stringContaining('is not encrypted, which this database requires')],
  ])
  for (const mode of ['migrating', 'off'] as const)
    expect([accepted(foreign, { mode }), accepted({ versions: [previous()], current: 'foreign' }, { mode })]).toEqual(
      Array(2).fill([asApplication]),
    )
  // Its version may say what it likes, where the event says another thing.
  const claimed = { ...foreign, versions: [{ ...current, fingerprint: print('foreign') }, previous()] }
  expect(accepted(claimed)).toEqual([[theOld], notRecorded])
  expect(
    accepted({
      ...claimed,
      newest: event([{ field, number: 2, fingerprint: print('foreign'), valid_until: until }, previousListed]),
    }),
  ).toEqual([[theOld], notRecorded])
  expect(accepted({ ...claimed, versions: unbound(), newest: null }, { says: 'unrecorded', mode: 'off' })).toEqual([
    [[null, 'foreign', null], theOld],
  ])
  expect(accepted({ current: null })).toEqual([[theOld]])
  // In whichever order its versions come.
  expect(accepted({ versions: [previous(), current] })).toEqual([[theNew, theOld]])
})

test('what cannot be read of a secret is told, and the rest is accepted', () => {
  const told = (columns: string) => expect.stringContaining(columns)
  expect(accepted({ damage: ['versions'], current: null, versions: [] })).toEqual([[], told('versions')])
  const unreadable = { ...current, fingerprint: fingerprint('\\xff') }
  expect(accepted({ versions: [unreadable, previous()] })).toEqual([[theOld], told('fingerprint'), notRecorded])
})

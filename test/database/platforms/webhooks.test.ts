import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addWorkspace } from '../../../src/operations/directory/workspaces.ts'
import { addIntegration } from '../../../src/operations/integrations/add.ts'
import { rotateSecrets } from '../../../src/operations/secrets/rotate.ts'
import { unsignedHeaders } from '../../../src/operations/webhooks/sign.ts'
import { verifyWebhook } from '../../../src/operations/webhooks/verify.ts'
import type { Platform, Recipient, WebhookRequest } from '../../../src/platforms/platform.ts'
import { platforms } from '../../../src/platforms/platforms.ts'
import { matches, readSignature, type SignatureScheme, signedHeaders } from '../../../src/platforms/signature.ts'
import { Secret } from '../../../src/secret.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { freshDatabase, kinds, type TestDatabase } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import vectors from '../../unit/platforms/vectors.json' with { type: 'json' }

type Vector = { readonly secret: string; readonly headers: Record<string, string>; readonly body: string }

/** Every platform, as a platform: what it has beyond that is its own business. */
const all: readonly Platform[] = platforms
const schemes = all.flatMap((platform) =>
  platform.webhooks.schemes.map((scheme) => ({ id: `${platform.id} ${scheme.id}`, platform, scheme })),
)
const vectorOf = (platform: Platform, scheme: SignatureScheme): Vector | undefined =>
  (vectors as Record<string, Record<string, Vector>>)[platform.id]?.[scheme.id]

const requestOf = (headers: Record<string, string>, body: string | Uint8Array): WebhookRequest => ({
  headers: new Headers(headers),
  body: Buffer.from(body),
})
const recipientOf = (more: Partial<Recipient> = {}): Recipient => ({
  config: null,
  slackTeamId: 'T012AB3CD',
  slackTeamName: null,
  slackBotUserId: 'U0BOT',
  pylonAccountId: null,
  ...more,
})

test('every scheme of every platform has its vector in vectors.json, and nothing else has', () => {
  const known = Object.entries(vectors).flatMap(([platform, own]) => Object.keys(own).map((id) => `${platform} ${id}`))
  expect(known).toEqual(schemes.map(({ id }) => id))
})

describe.each(schemes)('$id', ({ platform, scheme }) => {
  const { secret: value, headers, body } = vectorOf(platform, scheme) ?? { secret: '', headers: {}, body: '' }
  const secret = new Secret(value)
  const { header, prefix, timestamp } = scheme
  const now = timestamp ? Number(headers[timestamp.header]) * 1000 : Date.now()
  const signature = headers[header] ?? ''
  const digits = signature.slice(prefix.length)

  /** What comes of a request: whether the secret matches, or why its signature cannot be read. */
  function verdict(
    changed: Record<string, string | null> = {},
    { sent = body, key = secret, at = now }: { sent?: string | Uint8Array; key?: Secret; at?: number } = {},
  ) {
    const present = Object.entries({ ...headers, ...changed }).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    )
    const request = requestOf(Object.fromEntries(present), sent)
    const read = readSignature(scheme, request, at)
    return read.readable ? matches(read, key, request.body) : [read.why, read.header, read.skew]
  }

  test('accepts its vector, and signs as it', () => {
    expect(verdict()).toBe(true)
    expect(signedHeaders(scheme, { secret, body: Buffer.from(body), now })).toEqual(headers)
    const bytes = Uint8Array.of(0xff, 0, 0xfe)
    expect(verdict(signedHeaders(scheme, { secret, body: bytes, now }), { sent: bytes })).toBe(true)
  })

  test('refuses another body, and another secret', () => {
    for (const sent of [`${body}\n`, ` ${body}`, body.slice(1), body.slice(0, -1), body.toUpperCase(), ''])
      expect([sent, verdict({}, { sent })]).toEqual([sent, false])
    expect(verdict({}, { key: new Secret(`${value}x`) })).toBe(false)
    expect(verdict({ [header]: `${prefix}${'0'.repeat(64)}` })).toBe(false)
  })

  test('refuses a signature that is not of its form', () => {
    const malformed = ['malformed', header, null]
    for (const text of [
      ...[digits.toUpperCase(), digits.slice(1), `${digits}0`, digits.slice(0, 62), '', 'g'.repeat(64)].map(
        (hex) => `${prefix}${hex}`,
      ),
      ...['v1=', 'sha1=', 'x', prefix.toUpperCase().replace(prefix, '-'), `${prefix}${prefix || ' x'}`].map(
        (other) => `${other}${digits}`,
      ),
      ...(prefix === '' ? [] : [digits]),
      // As Headers joins one that came twice.
      `${signature}, ${signature}`,
      `${signature}, ${prefix}${'0'.repeat(64)}`,
    ])
      expect([text, verdict({ [header]: text })]).toEqual([text, malformed])
    expect(verdict({ [header]: null })).toEqual(['missing', header, null])
  })

  test.runIf(timestamp)('refuses a time that is too far off, either way, and one that is none', () => {
    const { header: name, toleranceSeconds } = timestamp ?? { header: '', toleranceSeconds: 0 }
    const sent = Number(headers[name])
    for (const off of [-toleranceSeconds, -1, 0, 1, toleranceSeconds])
      expect([off, verdict({}, { at: (sent - off) * 1000 })]).toEqual([off, true])
    for (const off of [-toleranceSeconds - 1, toleranceSeconds + 1, -86_400, 86_400])
      expect(verdict({}, { at: (sent - off) * 1000 })).toEqual(['stale', name, off])
    // The time is signed too.
    expect(verdict({ [name]: String(sent + 1) })).toBe(false)
    for (const text of ['', 'now', '-1', '1e9', `${sent}.0`, `${sent}000000`, `0x${sent}`, `${sent}, ${sent}`])
      expect([text, verdict({ [name]: text })]).toEqual([text, ['malformed', name, null]])
    expect(verdict({ [name]: null })).toEqual(['missing', name, null])
  })

  test.each(Object.keys(platform.webhooks.samples))('its sample %s is accepted, and read', (name) => {
    const { schemeKey, tenant, read, unsigned, samples } = platform.webhooks
    const recipient = recipientOf(schemeKey === undefined ? {} : { config: { [schemeKey]: scheme.id } })
    const made = Buffer.from(samples[name]?.(recipient, new Date()) ?? '')
    const sent = requestOf(
      {
        ...unsignedHeaders(platform, { body: made, headers: [] }),
        ...signedHeaders(scheme, { secret, body: made, now: Date.now() }),
      },
      made,
    )
    const signed = readSignature(scheme, sent, Date.now())
    expect(signed.readable && matches(signed, secret, sent.body)).toBe(true)
    expect(unsigned?.(sent)).toBe(undefined)
    const reading = read(sent, recipient)
    expect(reading.kind).not.toBe('malformed')
    if (reading.kind !== 'event') return
    expect(reading).toMatchObject({ event: { name: expect.any(String), retry: null }, unwanted: null, revoked: null })
    expect(tenant?.claims(sent).ids).toEqual(tenant && [recipient[tenant.column]])
  })
})

describe.each(kinds)('the secrets that a platform’s webhooks are accepted with (%s)', (kind) => {
  let db: TestDatabase
  let store: Store
  beforeAll(async () => {
    db = await freshDatabase(kind)
    store = await openStore(storeOptions(db))
    await addWorkspace(store, 'Acme', { dryRun: false, ifMissing: false })
  })
  afterAll(() => store.close())

  test.each(schemes)('$id', async ({ id: name, platform, scheme }) => {
    const [first, second] = ['1', '2'].map((digit) => new Secret(digit.repeat(32))) as [Secret, Secret]
    const { schemeKey } = platform.webhooks
    const shared = { expiry: 'unknown', setBy: 'test', forceShape: true } as const
    const { integration } = await addIntegration(store, {
      ...shared,
      platform: platform.id,
      workspace: { kind: 'existing', ref: 'Acme' } as const,
      name,
      secrets: { webhookSecret: { value: first, origin: 'provided' } },
      ids: {},
      config: schemeKey === undefined ? null : { [schemeKey]: scheme.id },
      dryRun: false,
    })
    const body = Buffer.from('{}')
    const outcome = async (secret: Secret) => {
      const headers = Object.entries(signedHeaders(scheme, { secret, body, now: Date.now() }))
      const { refusal, secret: found } = await verifyWebhook(store, integration.id, {
        captured: { headers, body },
        now: Date.now(),
      })
      return [refusal, found?.number, found && (found.validUntil === null ? 'current' : 'previous')]
    }
    expect(await outcome(first)).toEqual([null, 1, 'current'])
    const replacing = { webhookSecret: { value: second, origin: 'provided' } } as const
    await rotateSecrets(store, integration.id, {
      ...shared,
      typed: integration.id,
      secrets: replacing,
      gracePeriod: 60_000,
      shared: false,
      endPrevious: false,
    })
    expect(await outcome(first)).toEqual([null, 1, 'previous'])
    expect(await outcome(second)).toEqual([null, 2, 'current'])
    await db.query(
      `UPDATE integration_secrets SET valid_until = '2026-01-01 00:00:00' WHERE integration_id = ? AND number = 1`,
      integration.id,
    )
    expect(await outcome(first)).toEqual(['wrong_secret', undefined, null])
    expect(await outcome(second)).toEqual([null, 2, 'current'])
  })
})

import { expect, onTestFinished, test } from 'vitest'
import type { Expiry } from '../../../src/integration.ts'
import { listSecrets, revertSecret } from '../../../src/operations/secrets/history.ts'
import { rotateSecrets } from '../../../src/operations/secrets/rotate.ts'
import { Secret } from '../../../src/secret.ts'
import { openStore } from '../../../src/store/open.ts'
import { instant } from '../../support/brands.ts'
import { freshDatabase, kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'
import { botToken } from '../../support/samples.ts'

test.each(kinds)(
  'with an access token goes when it ends, as the application may have written it, on %s',
  async (kind) => {
    const db = await freshDatabase(kind)
    await db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    await db.query("INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('i', 'w', 'slack', 'support')")
    const store = await openStore(storeOptions(db))
    onTestFinished(() => store.close())
    const put = (n: number, expiry: Expiry) =>
      rotateSecrets(store, 'i', {
        typed: 'i',
        secrets: { accessToken: { value: new Secret(botToken(n)), origin: 'provided' } },
        expiry,
        setBy: 'test',
        gracePeriod: 3_600_000,
        shared: false,
        forceShape: true,
        endPrevious: true,
      })
    const revert = async () => (await revertSecret(store, 'i', { field: 'accessToken' })).after
    const versions = async () =>
      (await listSecrets(store, 'i')).versions.map(({ number, tokenExpiry, tokenExpiresAt }) => [
        number,
        tokenExpiry,
        tokenExpiresAt,
      ])
    const january = instant('2027-01-31T12:00:00.000Z')
    const february = '2027-02-28T00:00:00.000Z'
    const march = '2027-03-31T00:00:00.000Z'

    await put(1, january)
    // As Prisma's models have written it before.
    if (kind === 'sqlite')
      expect(await db.query('SELECT expires_at, set_at FROM integration_secrets')).toEqual([
        { expires_at: '2027-01-31T12:00:00.000+00:00', set_at: expect.stringMatching(/\+00:00$/) },
      ])
    await put(2, 'never')
    expect(await versions()).toEqual([
      [2, 'never', null],
      [1, 'dated', january],
    ])
    expect(await revert()).toMatchObject({ tokenExpiry: 'dated', tokenExpiresAt: january })
    await db.query("UPDATE integrations SET token_expires_at = '2027-02-28 00:00:00'")
    expect(await revert()).toMatchObject({ tokenExpiry: 'never', tokenExpiresAt: null })
    expect(await versions()).toEqual([
      [2, 'never', null],
      [1, 'dated', february],
    ])
    expect(await revert()).toMatchObject({ tokenExpiry: 'dated', tokenExpiresAt: february })
    await db.query("UPDATE integrations SET token_expires_at = '2027-03-31 00:00:00'")
    await put(3, 'unknown')
    expect(await versions()).toEqual([
      [3, 'unknown', null],
      [2, 'never', null],
      [1, 'dated', march],
    ])
    // One that was replaced before this was remembered.
    await db.query('UPDATE integration_secrets SET expires_at = NULL')
    expect(await revert()).toMatchObject({ tokenExpiry: 'unknown', tokenExpiresAt: null })
    expect(await db.query("SELECT fields FROM integration_events WHERE action = 'secret.revert' ORDER BY seq")).toEqual(
      [...Array(3).fill({ fields: 'access_token,token_expires_at' }), { fields: 'access_token' }],
    )
  },
)

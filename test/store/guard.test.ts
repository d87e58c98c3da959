import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/secret.ts'
import { parseDatabaseUrl } from '../../src/store/database.ts'
import { openStore } from '../../src/store/store.ts'
import { freshDatabase, kinds } from '../support/database.ts'
import { signingSecret } from '../support/samples.ts'

describe.each(kinds)('on %s', (kind) => {
  test('a secret is replaced only while the column holds the value that was read', async () => {
    const db = await freshDatabase(kind)
    await db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret) VALUES ('i', 'w', 'slack', 'support', ?)",
      signingSecret(1),
    )
    const store = await openStore({
      database: parseDatabaseUrl(db.url, '/'),
      wait: 10_000,
      create: false,
      notice: () => {},
    })
    const replace = (old: string | null, value: string) =>
      store.mutate((rows) =>
        rows.secrets.replace(
          'i',
          {
            field: 'webhookSecret',
            old: old === null ? null : new Secret(old),
            value: new Secret(value),
            origin: 'provided',
            setBy: 'test',
            neverExpires: false,
          },
          new Date(),
        ),
      )

    // The application wrote the column after we read it, or we read nothing where there is something.
    expect(await replace(signingSecret(9), signingSecret(2))).toBe(false)
    expect(await replace(null, signingSecret(2))).toBe(false)
    expect(await db.query('SELECT webhook_secret FROM integrations')).toEqual([{ webhook_secret: signingSecret(1) }])
    expect(await db.query('SELECT * FROM integration_secrets')).toEqual([])

    expect(await replace(signingSecret(1), signingSecret(2))).toBe(true)
    expect(await db.query('SELECT webhook_secret FROM integrations')).toEqual([{ webhook_secret: signingSecret(2) }])
    await store.close()
  })

  test('a version is raised only from what was read', async () => {
    const db = await freshDatabase(kind)
    await db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    await db.query("INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('i', 'w', 'slack', 'support')")
    const store = await openStore({
      database: parseDatabaseUrl(db.url, '/'),
      wait: 10_000,
      create: false,
      notice: () => {},
    })
    const raise = (from: number) => store.mutate((rows) => rows.integrations.raiseVersion('i', from, new Date()))
    // A row that only the application has written is at version 0.
    expect(await raise(0)).toBe(true)
    expect(await raise(0)).toBe(false)
    expect(await raise(2)).toBe(false)
    expect(await raise(1)).toBe(true)
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([{ version: 2 }])
    await store.close()
  })
})

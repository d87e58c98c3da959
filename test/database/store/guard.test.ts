import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/secret.ts'
import type { Action } from '../../../src/store/audit/actions.ts'
import { openStore } from '../../../src/store/open.ts'
import { integrationId } from '../../support/brands.ts'
import { freshDatabase, kinds } from '../../support/database.ts'
import { openedStore, storeOptions } from '../../support/keyring.ts'
import { signingSecret } from '../../support/samples.ts'

const i = integrationId('i')
const target = { type: 'integration', id: 'i', name: null } as const

describe.each(kinds)('on %s', (kind) => {
  const start = async () => {
    const db = await freshDatabase(kind)
    await db.query(
      "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
    )
    await db.query("INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('i', 'w', 'slack', 'support')")
    return { db, store: await openStore(storeOptions(db)) }
  }

  test('a secret is replaced only while the column holds the value that was read', async () => {
    const { db, store } = await start()
    const replace = (value: string, foreign?: string) =>
      store.mutate(async (tx) => {
        const held = (await tx.secrets.read(i, ['webhookSecret'])).webhookSecret
        const print = await tx.secrets.replace(i, {
          field: 'webhookSecret',
          // What the application has written after we read it.
          old: held && foreign !== undefined ? { ...held, stored: foreign } : (held ?? null),
          value: new Secret(value),
          origin: 'provided',
          setBy: 'test',
          expiry: 'unknown',
          previousValidUntil: tx.now,
        })
        if (print !== undefined) await tx.record({ action: 'secret.rotate', target })
        return print
      })
    const versions = () => db.query('SELECT number FROM integration_secrets')

    expect(await replace(signingSecret(1))).toMatch(/^[0-9a-f]{16}$/)
    expect(await replace(signingSecret(2), 'something else')).toBeUndefined()
    expect(await openedStore(db)('SELECT webhook_secret FROM integrations')).toEqual([
      { webhook_secret: signingSecret(1) },
    ])
    expect(await versions()).toEqual([{ number: 1 }])
    expect(await replace(signingSecret(2))).toMatch(/^[0-9a-f]{16}$/)
    expect(await openedStore(db)('SELECT webhook_secret FROM integrations')).toEqual([
      { webhook_secret: signingSecret(2) },
    ])
    await store.close()
  })

  test('a version is raised only from what was read', async () => {
    const { db, store } = await start()
    const raise = (from: number) =>
      store.mutate(async (tx) => {
        await tx.record({ action: 'integration.update', target })
        return tx.integrations.raiseVersion(i, from, tx.now)
      })
    // A row that only the application has written is at version 0.
    expect([await raise(0), await raise(0), await raise(2), await raise(1)]).toEqual([true, false, false, true])
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([{ version: 2 }])
    await store.close()
  })

  test('a change of which nothing is recorded is not kept', async () => {
    const { db, store } = await start()
    await store.mutate((tx) => tx.integrations.update(i, { name: 'other' }))
    expect(await db.query('SELECT name FROM integrations')).toEqual([{ name: 'support' }])
    await store.close()
  })

  test('what is recorded is appended to the log, and the head is where it ends', async () => {
    const { db, store } = await start()
    const log = () => db.query('SELECT action, previous_hash, hash FROM integration_events ORDER BY seq')
    const before = await log()
    // More than one statement inserts.
    const many = Array.from({ length: 201 }, (_, n): Action => (n % 3 === 0 ? 'config.change' : 'secret.finish'))
    const first: Action[] = ['integration.enable', 'integration.update']
    for (const actions of [first, ['integration.disable'] as const, many])
      await store.mutate(async (tx) => {
        for (const [i, action] of actions.entries())
          await tx.record({ action, target, ...(i % 2 === 0 ? { versionBefore: i, fields: ['x'] } : { count: i }) })
      })
    const added = (await log()).slice(before.length)
    const hashes = added.map(({ hash }) => hash)
    expect(added.map(({ action }) => action)).toEqual([...first, 'integration.disable', ...many])
    expect(added.map(({ previous_hash }) => previous_hash)).toEqual([before.at(-1)?.hash, ...hashes.slice(0, -1)])
    const head = "SELECT CAST(seq AS INTEGER) AS seq, value FROM integration_settings WHERE key = 'head'"
    expect(await db.query(head)).toEqual([{ seq: before.length + 204, value: hashes[203] }])
    await store.close()
  })

  test('a change whose events cannot all be appended is not kept', async () => {
    const { db, store } = await start()
    await store.mutate((tx) => tx.record({ action: 'integration.enable', target }))
    const state = async () => [
      await db.query('SELECT name FROM integrations'),
      await db.query("SELECT seq, value FROM integration_settings WHERE key = 'head'"),
      await db.query('SELECT seq FROM integration_events ORDER BY seq'),
    ]
    // The second event is swallowed, of which the database says nothing.
    await db.query(
      kind === 'sqlite'
        ? "CREATE TRIGGER swallow BEFORE INSERT ON integration_events WHEN NEW.action = 'integration.update' BEGIN SELECT RAISE(IGNORE); END"
        : "CREATE RULE swallow AS ON INSERT TO integration_events WHERE NEW.action = 'integration.update' DO INSTEAD NOTHING",
    )
    const before = await state()
    const change = store.mutate(async (tx) => {
      await tx.integrations.update(i, { name: 'other' })
      for (const action of ['integration.disable', 'integration.update'] as const) await tx.record({ action, target })
    })
    await expect(change).rejects.toMatchObject({ code: 'DATABASE_INVALID' })
    expect(await state()).toEqual(before)
    await store.close()
  })

  test('a change that does not get hold of the head row is not begun', async () => {
    const { db, store } = await start()
    await db.query(
      kind === 'sqlite'
        ? 'CREATE TRIGGER swallow BEFORE UPDATE ON integration_settings BEGIN SELECT RAISE(IGNORE); END'
        : 'CREATE RULE swallow AS ON UPDATE TO integration_settings DO INSTEAD NOTHING',
    )
    let begun = false
    const change = store.mutate(async () => {
      begun = true
    })
    await expect(change).rejects.toMatchObject({ code: 'DATABASE_INVALID' })
    expect(begun).toBe(false)
    await store.close()
  })

  test('a change begins when the one before it has ended', async () => {
    const { db, store } = await start()
    const other = await openStore(storeOptions(db))
    const told: string[] = []
    let second: Promise<void> | undefined
    await store.mutate(async (tx) => {
      second ??= other.mutate(async (tx) => {
        told.push('second begins')
        await tx.record({ action: 'integration.disable', target })
      })
      await sleep(700)
      await tx.record({ action: 'integration.enable', target })
      told.push('first ends')
    })
    await second
    expect(told).toEqual(['first ends', 'second begins'])
    await store.close()
    await other.close()
  })
})

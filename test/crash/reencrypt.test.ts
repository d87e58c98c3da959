import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { fingerprint } from '../../src/crypto/hmac.ts'
import { decrypt, encrypt } from '../../src/crypto/jwe.ts'
import { type KeySet, parseKeySet, type RootKey } from '../../src/crypto/key-set.ts'
import { Secret } from '../../src/secret.ts'
import { amount } from '../support/crash-amounts.ts'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { bin, freshFolder, runProgram } from '../support/program.ts'

const rows = amount(2500, 10_000)
const kills = amount(4, 50)

const cell = (i: number) => ({ id: `i-${String(i).padStart(5, '0')}`, field: 'webhook_secret' })
const value = (i: number) => `secret of ${i}`

/** Fills a database with integrations whose webhook secrets a key seals. */
async function seed(db: TestDatabase, keys: KeySet, key: RootKey): Promise<void> {
  const print = [...keys.values()].find(({ id }) => id.startsWith('fingerprint-')) as RootKey
  await db.query(
    "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w', 'Acme', '2026-01-02', '2026-01-02')",
  )
  for (let from = 0; from < rows; from += 500) {
    const sealed = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const secret = new Secret(value(from + i))
        const { id, field } = cell(from + i)
        return { id, field, text: encrypt(key, cell(from + i), secret), print: fingerprint(print, secret) }
      }),
    )
    await db.query(
      `INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret) VALUES ${sealed
        .map(({ id, text }) => `('${id}', 'w', 'pylon', '${id}', '${text}')`)
        .join()}`,
    )
    await db.query(
      `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at) VALUES ${sealed
        .map(({ id, field, print }) => `('${id}', '${field}', 1, '${print}', '${key.id}', 'provided', '2026-01-02')`)
        .join()}`,
    )
  }
}

describe.each(kinds)('on %s', (kind) => {
  test(`re-encryption of ${rows} rows that is killed ${kills} times ends with all of them under the new key`, async () => {
    const db = await freshDatabase(kind)
    const file = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file }
    const keySet = () => parseKeySet(readFileSync(file, 'utf8'), 'it')
    const activateNew = async (): Promise<string> => {
      const { stdout } = await runProgram(['keys', 'add', '-o', 'id'], { env })
      expect(await runProgram(['keys', 'activate', stdout.trim(), '-o', 'id'], { env })).toMatchObject({ code: 0 })
      return stdout.trim()
    }
    await seed(db, keySet(), [...keySet().values()].find(({ use }) => use === 'enc') as RootKey)
    const left = async (key: string) =>
      Number((await db.query('SELECT count(*) AS n FROM integration_secrets WHERE key_id <> ?', key))[0]?.n)

    // A whole run, to know how long one takes.
    const measured = await activateNew()
    const started = performance.now()
    expect(await runProgram(['keys', 'reencrypt', '-o', 'json', '--fields', 'changed'], { env })).toMatchObject({
      code: 0,
      stdout: `{\n  "changed": ${rows}\n}\n`,
    })
    const whole = performance.now() - started
    expect(whole).toBeLessThan(60_000)
    expect(await left(measured)).toBe(0)

    // Each run goes on until a part of the whole is done, and is killed somewhere in the time that a page takes.
    let key = await activateNew()
    const pageTime = whole / (rows / 100)
    const remaining: number[] = []
    let landed = 0
    for (let i = 1; i <= kills; i++) {
      // On a busy machine, a run may come to its end before it is killed.
      if ((await left(key)) === 0) key = await activateNew()
      const before = await left(key)
      const child = spawn(process.execPath, [bin, 'keys', 'reencrypt'], {
        env: {
          PATH: process.env.PATH ?? '',
          HOME: freshFolder(),
          XDG_CACHE_HOME: process.env.INTEGRATIONS_TEST_CACHE,
          ...env,
        },
        stdio: 'ignore',
      })
      const end = new Promise<NodeJS.Signals | null>((done) => child.on('close', (_, signal) => done(signal)))
      const until = Math.max(before - rows / (kills + 1), before / 2)
      while (child.exitCode === null && (await left(key)) > until) await sleep(5)
      await sleep(Math.random() * pageTime)
      child.kill('SIGKILL')
      const killed = (await end) === 'SIGKILL'
      const after = await left(key)
      remaining.push(after)
      // It was at work: it had done a part, and not all.
      if (killed && after < before && after > 0) landed++
    }
    expect(landed, remaining.join(' ')).toBeGreaterThan(kills * 0.5)

    expect(await runProgram(['keys', 'reencrypt', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stdout: `${key}\n`,
    })
    expect(await left(key)).toBe(0)
    const set = new Map([...keySet()].filter(([id]) => id === key))
    const stored = await db.query('SELECT id, webhook_secret FROM integrations ORDER BY id')
    expect(stored).toHaveLength(rows)
    for (const [i, { id, webhook_secret }] of stored.entries()) {
      expect(id).toBe(cell(i).id)
      expect(decrypt(set, cell(i), String(webhook_secret)).reveal()).toBe(value(i))
    }
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([])
    const [total] = await db.query(
      "SELECT sum(count) AS n FROM integration_events WHERE action = 'keys.reencrypt' AND key_id = ?",
      key,
    )
    // What was recorded is what was done, each value once.
    expect(Number(total?.n)).toBe(rows)
    for (const old of [...keySet().values()].filter(({ id, use }) => use === 'enc' && id !== key))
      expect(await runProgram(['keys', 'retire', old.id, '--confirm', old.id, '-o', 'id'], { env })).toMatchObject({
        code: 0,
      })
  }, 900_000)
})

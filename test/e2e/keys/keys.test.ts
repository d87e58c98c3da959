import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { decrypt } from '../../../src/crypto/jwe.ts'
import { headerOf, type PreviousValue } from '../../../src/crypto/jwe-format.ts'
import { parseKeySet } from '../../../src/crypto/key-set.ts'
import {
  emptyPostgresql,
  freshDatabase,
  type Kind,
  kinds,
  postgresqlDatabase,
  sqliteDatabase,
  type TestDatabase,
} from '../../support/database.ts'
import { runInProcess } from '../../support/in-process.ts'
import { freshFolder, quote, runInTerminal, runProgram } from '../../support/program.ts'
import { botToken, instant, signingSecret } from '../../support/samples.ts'
import { notes, warnings } from '../../support/told.ts'

interface Place {
  readonly db: TestDatabase
  readonly env: Record<string, string>
  readonly file: string
}

/** A database with a key file of its own. */
async function place(kind: Kind): Promise<Place> {
  const db = await freshDatabase(kind)
  const file = join(freshFolder(), 'keys.json')
  copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', file)
  return { db, file, env: { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file } }
}

/** A database of an application, adopted, with two values of its own. */
async function adopted(kind: Kind): Promise<Place> {
  const folder = readdirSync(`prisma/migrations/${kind}`).find((name) => name.endsWith('integrations__application'))
  const tables = readFileSync(`prisma/migrations/${kind}/${folder}/migration.sql`, 'utf8')
  const rows = `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES ('w1', 'Acme', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
    INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, access_token, created_at)
    VALUES ('app-1', 'w1', 'slack', 'support', '${signingSecret(1)}', '${botToken(1)}', '2026-01-02 03:04:05');`
  let db: TestDatabase
  if (kind === 'postgresql') {
    db = await emptyPostgresql()
    await db.query(tables + rows)
  } else {
    const path = join(freshFolder(), 'app.db')
    const client = createClient({ url: `file:${path}` })
    await client.executeMultiple(tables + rows)
    client.close()
    chmodSync(path, 0o600)
    db = sqliteDatabase(path)
  }
  const file = join(freshFolder(), 'keys.json')
  const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_FILE: file }
  expect(await runInProcess(['db', 'adopt', '-o', 'id'], { env })).toMatchObject({ code: 0 })
  return { db, env, file }
}

async function addSupport({ env }: Place): Promise<void> {
  const add = ['add', '--platform', 'slack', '--new-workspace', 'Acme', '--name', 'support', '--no-expiry']
  expect(
    await runInProcess([...add, '--webhook-secret-stdin', '--access-token-env', 'TOKEN', '-o', 'id'], {
      env: { ...env, TOKEN: botToken(1) },
      input: signingSecret(1),
    }),
  ).toMatchObject({ code: 0 })
}

const columns = async ({ db }: Place) =>
  (await db.query('SELECT id, webhook_secret, access_token FROM integrations ORDER BY id')) as unknown as {
    id: string
    webhook_secret: string
    access_token: string
  }[]

const keysOf = ({ file }: Place) => parseKeySet(readFileSync(file, 'utf8'), 'it')

/** The values of an integration, opened with the one key given. */
async function opened(at: Place, keyId: string): Promise<string[]> {
  const keys = new Map([...keysOf(at)].filter(([id]) => id === keyId))
  const [row] = await columns(at)
  if (!row) return []
  const id = row.id
  return [
    decrypt(keys, { id, field: 'webhook_secret' }, row.webhook_secret).reveal(),
    decrypt(keys, { id, field: 'access_token' }, row.access_token).reveal(),
  ]
}

const seals = ({ db }: Place) =>
  db.query("SELECT id, state FROM integration_keys WHERE purpose = 'seal' ORDER BY created_at, id")
const mode = async ({ db }: Place) =>
  (await db.query("SELECT value FROM integration_settings WHERE key = 'sealing'"))[0]?.value
const events = ({ db }: Place) =>
  db.query(
    "SELECT action, target_type, target_id, key_id, count, fields FROM integration_events WHERE action LIKE 'keys.%' ORDER BY seq",
  )
const seq = async ({ db }: Place) => Number((await db.query('SELECT count(*) AS n FROM integration_events'))[0]?.n)
const sealId = async (at: Place) => String((await seals(at))[0]?.id)

/** Everything in the database that a refusal must leave as it is. */
const everything = async (at: Place) =>
  JSON.stringify([
    await columns(at),
    await seals(at),
    await mode(at),
    await seq(at),
    await at.db.query('SELECT integration_id, field, number, key_id, sealed FROM integration_secrets ORDER BY 1, 2, 3'),
  ])

const refused = (message: string, hint: string) => ({ stdout: '', stderr: `error: ${message}\nhint: ${hint}\n` })

async function addKey({ env }: Place): Promise<string> {
  const { code, stdout } = await runInProcess(['keys', 'add', '-o', 'id'], { env })
  expect(code).toBe(0)
  return stdout.trim()
}

describe.each(kinds)('keys on %s', (kind) => {
  const run = runInProcess

  test('a key takes the place of another, for every value and without a version raised', async () => {
    const at = await place(kind)
    const { db, env, file } = at
    await addSupport(at)
    // A value that is still accepted moves too.
    expect(
      await runInProcess(['rotate', 'support', '--webhook-secret-stdin', '--grace', '1h', '-o', 'id'], {
        env,
        input: signingSecret(2),
      }),
    ).toMatchObject({ code: 0 })
    const old = await sealId(at)

    const added = await run(['keys', 'add'], { env })
    const [, next = ''] = /^(enc-[0-9a-f]{12})\t/.exec(added.stdout) ?? []
    expect({ ...added, stdout: added.stdout.replace(instant, '<instant>') }).toEqual({
      code: 0,
      stdout: `${next}\tencryption\tdecrypt-only\t<instant>\t0\t0\ttrue\n`,
      stderr: `added the key ${next}, which decrypts and does not encrypt yet\nnext: integrations keys activate ${next}\n`,
    })
    expect(await seals(at)).toEqual([
      { id: old, state: 'active' },
      { id: next, state: 'decrypt-only' },
    ])
    expect([...keysOf(at).keys()]).toContain(next)
    expect([...keysOf(at).keys()]).toContain(old)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(dirname(file))).toEqual(['keys.json'])

    expect(await run(['keys', 'activate', next, '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${next}\n`,
      stderr: `the key ${next} encrypts from now on\nnext: integrations keys reencrypt\n`,
    })
    expect(await run(['keys', 'activate', next, '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`the key ${next} is already active\n`),
    })
    const off = await run(['keys', 'status', '-o', 'json', '--fields', 'mode,activeKey,plain,unread,problems'], {
      env,
    })
    const problem = `values are encrypted with the key ${old}, which is not active: 2 current, 1 previous`
    expect({ ...off, stdout: JSON.parse(off.stdout) }).toMatchObject({
      code: 8,
      stdout: {
        mode: 'required',
        activeKey: next,
        plain: 0,
        unread: null,
        problems: [{ problem, hint: 'integrations keys reencrypt' }],
      },
      stderr: expect.stringContaining(warnings(`${problem}; integrations keys reencrypt`)),
    })

    const before = await everything(at)
    expect(await run(['keys', 'retire', old], { env })).toEqual({
      code: 5,
      ...refused(`the key ${old} still encrypts values: 2 current, 1 previous`, 'integrations keys reencrypt'),
    })
    expect(await run(['keys', 'reencrypt', '--dry-run'], { env })).toEqual({
      code: 0,
      stdout: `required\t${next}\t3\n`,
      stderr: 'would change 3 values\n',
    })
    expect(await everything(at)).toBe(before)

    expect(await run(['keys', 'reencrypt'], { env })).toEqual({
      code: 0,
      stdout: `required\t${next}\t3\n`,
      stderr: 'changed 3 values\n',
    })
    expect(await opened(at, next)).toEqual([signingSecret(2), botToken(1)])
    const [previous] = await db.query(
      'SELECT integration_id AS id, sealed FROM integration_secrets WHERE sealed IS NOT NULL',
    )
    expect(
      decrypt(
        new Map([...keysOf(at)].filter(([id]) => id === next)),
        {
          id: String(previous?.id),
          field: 'webhook_secret',
          previous: headerOf(String(previous?.sealed))?.previous as PreviousValue,
        },
        String(previous?.sealed),
      ).reveal(),
    ).toBe(signingSecret(1))
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([{ version: 2 }])
    const after = await everything(at)
    expect(await run(['keys', 'reencrypt'], { env })).toMatchObject({ code: 0, stderr: 'changed 0 values\n' })
    expect(await everything(at)).toBe(after)

    expect(await run(['keys', 'retire', old, '--confirm', old, '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${old}\n`,
      stderr: `retired the key ${old}: no value of this database needs it any more
others may need it: backups of this database from before, replicas that are behind, and copies and other databases with the same key set (${file}); when none does, you can remove it from the set\n`,
    })
    expect(await seals(at)).toEqual([
      { id: old, state: 'retired' },
      { id: next, state: 'active' },
    ])
    expect(await run(['keys', 'status', '-o', 'id'], { env })).toEqual({
      code: 0,
      stdout: `${next}\n`,
      stderr: '',
    })
    const target = { target_type: 'key', fields: null, count: null }
    expect((await events(at)).slice(1)).toEqual([
      { action: 'keys.add', ...target, target_id: next, key_id: next },
      { action: 'keys.activate', ...target, target_id: next, key_id: next },
      {
        action: 'keys.reencrypt',
        target_type: 'database',
        target_id: expect.any(String),
        fields: null,
        key_id: next,
        count: 3,
      },
      { action: 'keys.retire', ...target, target_id: old, key_id: old },
    ])
  })

  test('what cannot be done with a key is refused, and changes nothing', async () => {
    const at = await place(kind)
    const { db, env, file } = at
    await addSupport(at)
    const old = await sealId(at)
    const next = await addKey(at)
    const [print] = await db.query("SELECT id FROM integration_keys WHERE purpose = 'fingerprint'")
    const before = [await everything(at), readFileSync(file, 'utf8')]

    const unknown = { code: 3, ...refused('there is no key "nothing"', 'integrations keys list') }
    expect(await run(['keys', 'activate', 'nothing'], { env })).toEqual(unknown)
    expect(await runInProcess(['keys', 'retire', 'nothing'], { env })).toEqual(unknown)
    const stays = {
      code: 2,
      ...refused(
        `the key ${print?.id} is the fingerprint key, which cannot be replaced`,
        'name an encryption key; integrations keys list shows them',
      ),
    }
    expect(await run(['keys', 'retire', String(print?.id)], { env })).toEqual(stays)
    expect(await runInProcess(['keys', 'activate', String(print?.id)], { env })).toEqual(stays)
    expect(await run(['keys', 'retire', old], { env })).toEqual({
      code: 5,
      ...refused(
        `the key ${old} is active`,
        'first add another key with integrations keys add, and activate it with integrations keys activate <id>',
      ),
    })
    expect(await runInProcess(['keys', 'add', 'seal-elsewhere'], { env })).toEqual({
      code: 4,
      ...refused(
        `the key seal-elsewhere is not in the key set (${file})`,
        'add the key to the key set on every machine that uses this database',
      ),
    })
    expect(await runInProcess(['keys', 'add', '--read-only'], { env })).toMatchObject({ code: 4, stdout: '' })

    // A machine that the new key has not reached.
    const elsewhere = join(freshFolder(), 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', elsewhere)
    const there = { ...env, INTEGRATIONS_KEYS_FILE: elsewhere }
    expect(await runInProcess(['keys', 'activate', next], { env: there })).toEqual({
      code: 4,
      ...refused(
        `the key ${next} is not in the key set (${elsewhere})`,
        'add the key to the key set on every machine that uses this database',
      ),
    })
    expect(await runInProcess(['keys', 'status', '-o', 'id'], { env: there })).toMatchObject({
      code: 8,
      stderr: expect.stringContaining(`warning: the key ${next} is not in the key set (${elsewhere})`),
    })
    expect([await everything(at), readFileSync(file, 'utf8')]).toEqual(before)

    expect(await runInProcess(['keys', 'retire', next, '--confirm', next, '-o', 'id'], { env })).toMatchObject({
      code: 0,
    })
    const gone = { code: 5, ...refused(`the key ${next} is retired`, 'integrations keys add') }
    expect(await runInProcess(['keys', 'activate', next], { env })).toEqual(gone)
    expect(await runInProcess(['keys', 'add', next], { env })).toEqual(gone)
  })

  test('a key is retired by who names the key again, and is asked for what is refused by nobody', async () => {
    const at = await place(kind)
    const { env, file } = at
    await addSupport(at)
    const [old, next] = [await sealId(at), await addKey(at)]
    const before = await everything(at)
    expect(await run(['keys', 'retire', next], { env })).toEqual({
      code: 2,
      ...refused('--confirm is required when prompts are off or there is no terminal', `pass --confirm ${next}`),
    })
    expect(await run(['keys', 'retire', next, '--confirm', old], { env })).toEqual({
      code: 2,
      ...refused(`--confirm is not "${next}"`, `pass --confirm ${next}`),
    })
    const active = await runInTerminal(['keys', 'retire', old], [], { env })
    expect(active).toMatchObject({ code: 5, screen: expect.not.stringContaining('Type ') })
    const left = await runInTerminal(['keys', 'retire', next], [[`Type ${next}`, 'no\r']], { env })
    expect(left).toMatchObject({
      code: 130,
      screen: expect.stringContaining(`This retires the key ${next} for good; the key set is ${file}.`),
    })
    expect(await everything(at)).toBe(before)

    const done = await runInTerminal(['keys', 'retire', next], [[`Type ${next}`, `${next}\r`]], { env })
    expect(done.code).toBe(0)
    const after = await everything(at)
    expect(await run(['keys', 'retire', next, '-o', 'json', '--fields', 'outcome'], { env })).toMatchObject({
      code: 0,
      stdout: '{\n  "outcome": "unchanged"\n}\n',
    })
    expect(await everything(at)).toBe(after)
  })

  test('without a key set keys are listed and counted, and none is made', async () => {
    const at = await place(kind)
    await addSupport(at)
    const home = freshFolder()
    const env = { DATABASE_URL: at.db.url, HOME: home, INTEGRATIONS_KEYS_FILE: '' }
    const [setting] = await at.db.query("SELECT value FROM integration_settings WHERE key = 'id'")
    const where = join(home, '.config', 'integrations', 'keys', `${setting?.value}.json`)
    const before = await everything(at)
    const listed = await run(['keys', 'list', '-o', 'json', '--fields', 'purpose,state,current,previous,inKeySet'], {
      env,
    })
    const key = { state: 'active', previous: 0, inKeySet: null }
    expect({ ...listed, stdout: JSON.parse(listed.stdout) }).toEqual({
      code: 0,
      stdout: [
        { purpose: 'audit', current: 0, ...key },
        { purpose: 'encryption', current: 2, ...key },
        { purpose: 'fingerprint', current: 0, ...key },
      ],
      stderr: notes(`cannot tell which keys are in the key set: the key file ${where} does not exist`),
    })
    expect(await run(['keys', 'status', '-o', 'id'], { env })).toEqual({
      code: 8,
      stdout: `${await sealId(at)}\n`,
      stderr: `cannot tell how many values are plain: counting needs the keys and the right to read secrets
warning: the key set cannot be used, so its keys were not checked: the key file ${where} does not exist; ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys
error: the keys and values need attention: 1 problem
hint: ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys
`,
    })
    for (const verb of [['init'], ['add'], ['reencrypt'], ['mode', 'migrating'], ['retire', await sealId(at)]])
      expect(await runInProcess(['keys', ...verb], { env }), verb[0]).toEqual({
        code: 4,
        ...refused(
          `the key file ${where} does not exist`,
          'ask whoever has the keys of this database for the key set, and name its file with INTEGRATIONS_KEYS_FILE; show, list, secrets list, config get and audit list need no keys',
        ),
      })
    expect(existsSync(join(home, '.config'))).toBe(false)
    expect(await everything(at)).toBe(before)
  })

  test('a wrong key of the right id, and a file that others can read, are refused before a row is touched', async () => {
    const at = await place(kind)
    const { env, file } = at
    await addSupport(at)
    const before = await everything(at)
    const id = await sealId(at)
    const whole = readFileSync(file, 'utf8')
    const wrong = JSON.parse(whole)
    for (const key of wrong.keys) if (key.kid === id) key.k = Buffer.alloc(32, 7).toString('base64url')
    writeFileSync(file, JSON.stringify(wrong))
    expect(await run(['keys', 'reencrypt'], { env })).toEqual({
      code: 4,
      ...refused(
        `the key ${id} in the key set (${file}) is not the one that this database knows`,
        'name the key set that this database was made with, with INTEGRATIONS_KEYS_FILE or INTEGRATIONS_KEYS_COMMAND',
      ),
    })
    expect(await run(['keys', 'status', '-o', 'id'], { env })).toMatchObject({ code: 8 })

    writeFileSync(file, whole)
    chmodSync(file, 0o640)
    expect(await run(['keys', 'reencrypt'], { env })).toEqual({
      code: 4,
      ...refused(
        `the key file ${file} can be read by others`,
        `chmod 600 ${file}; and if others may have read it, replace the keys`,
      ),
    })
    expect(await run(['keys', 'list', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: `cannot tell which keys are in the key set: the key file ${file} can be read by others\n`,
    })
    expect(await everything(at)).toBe(before)
  })

  test('where a command prints the set, a key is printed and the database told of it once it is there', async () => {
    const at = await place(kind)
    const { db, file } = at
    const env = { DATABASE_URL: db.url, INTEGRATIONS_KEYS_COMMAND: `cat ${quote(file)}` }
    const before = [await everything(at), readFileSync(file, 'utf8')]
    const printed = await run(['keys', 'add'], { env })
    const jwk = JSON.parse(printed.stdout)
    expect(jwk).toEqual({
      kty: 'oct',
      kid: expect.stringMatching(/^enc-/),
      use: 'enc',
      k: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(printed).toMatchObject({
      code: 0,
      stderr: `add this key to the set that INTEGRATIONS_KEYS_COMMAND prints; it is not registered with the database yet\nnext: integrations keys add ${jwk.kid}\n`,
    })
    expect(await run(['keys', 'add', jwk.kid], { env })).toMatchObject({
      code: 4,
      stderr: expect.stringContaining(`the key ${jwk.kid} is not in the key set (INTEGRATIONS_KEYS_COMMAND)`),
    })
    expect([await everything(at), readFileSync(file, 'utf8')]).toEqual(before)

    const set = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ keys: [...set.keys, jwk] }))
    expect(await run(['keys', 'add', jwk.kid, '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stdout: `${jwk.kid}\n`,
    })
    expect(await runInProcess(['keys', 'add', jwk.kid, '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`the key ${jwk.kid} is already registered with this database\n`),
    })
    expect(await seals(at)).toContainEqual({ id: jwk.kid, state: 'decrypt-only' })

    for (const [command, code, message] of [
      ['echo \'{"keys":[]}\'', 'KEYS_MISSING', 'INTEGRATIONS_KEYS_COMMAND prints a key set without keys'],
      ['exit 3', 'KEYS_MISSING', 'INTEGRATIONS_KEYS_COMMAND ended with exit code 3'],
      ['echo rubbish', 'KEYS_INVALID', 'what INTEGRATIONS_KEYS_COMMAND prints is not JSON'],
      ['kill -9 $$', 'KEYS_MISSING', 'INTEGRATIONS_KEYS_COMMAND was ended by SIGKILL'],
      ['yes 2>/dev/null', 'KEYS_MISSING', 'INTEGRATIONS_KEYS_COMMAND prints more than 1 MB'],
    ] as const) {
      const outcome = await runInProcess(['keys', 'reencrypt', '-o', 'json'], {
        env: { ...env, INTEGRATIONS_KEYS_COMMAND: command },
      })
      expect({ ...outcome, stderr: JSON.parse(outcome.stderr).error }).toMatchObject({
        code: 4,
        stdout: '',
        stderr: {
          code,
          message,
          hint: 'run the command by itself, and check that it prints the key set as JSON (a JWK Set)',
          committed: false,
        },
      })
    }
  })

  test("an application's values are sealed step by step, and given back plain", async () => {
    const at = await adopted(kind)
    const { db, env } = at
    const plain = [{ id: 'app-1', webhook_secret: signingSecret(1), access_token: botToken(1) }]
    const key = await sealId(at)
    const status = async () => {
      const { code, stdout } = await runInProcess(['keys', 'status', '-o', 'json', '--fields', 'mode,plain,unread'], {
        env,
      })
      return { code, ...JSON.parse(stdout) }
    }
    const change = (to: string, ...flags: string[]) => run(['keys', 'mode', to, ...flags], { env })
    expect(await status()).toEqual({ code: 0, mode: 'off', plain: 0, unread: 2 })
    expect(await change('required')).toEqual({
      code: 5,
      ...refused('cannot go from off to required directly; use migrating first', 'integrations keys mode migrating'),
    })
    const cost =
      'warning: an application that reads the columns itself gets encrypted text for every secret written from now on, until it decrypts secrets as docs/reading-secrets.md says\n'
    expect(await change('migrating')).toEqual({
      code: 2,
      stdout: '',
      stderr: `${cost}error: --confirm is required when prompts are off or there is no terminal\nhint: pass --confirm migrating\n`,
    })
    expect(await change('migrating', '--confirm', 'required')).toMatchObject({ code: 2, stdout: '' })
    expect(await mode(at)).toBe('off')

    expect(await change('migrating', '--confirm', 'migrating')).toEqual({
      code: 0,
      stdout: 'migrating\n',
      stderr: `${cost}changed the mode from off to migrating\nnext: integrations keys reencrypt\n      integrations keys mode required\n`,
    })
    expect(await columns(at)).toEqual(plain)
    expect(await change('required')).toEqual({
      code: 5,
      ...refused('values are not encrypted yet: 2', 'integrations keys reencrypt'),
    })
    expect(await run(['keys', 'reencrypt'], { env })).toMatchObject({
      code: 0,
      stdout: `migrating\t${key}\t2\n`,
    })
    expect(await opened(at, key)).toEqual([signingSecret(1), botToken(1)])
    expect(await db.query('SELECT field, origin, set_by, key_id FROM integration_secrets ORDER BY field')).toEqual([
      { field: 'access_token', origin: 'application', set_by: null, key_id: key },
      { field: 'webhook_secret', origin: 'application', set_by: null, key_id: key },
    ])

    // The application goes on writing, and clears one.
    await db.query('UPDATE integrations SET webhook_secret = ?, access_token = NULL', signingSecret(9))
    expect(await change('required')).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('values are not encrypted yet: 1'),
    })
    expect(await runInProcess(['keys', 'reencrypt', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: 'changed 1 value\n',
    })
    await db.query('UPDATE integrations SET access_token = ?', botToken(1))
    expect(await runInProcess(['keys', 'reencrypt', '-o', 'id'], { env })).toMatchObject({
      code: 0,
      stderr: 'changed 1 value\n',
    })
    const demand =
      'warning: from now on a plain secret is refused: an application that writes the columns itself must encrypt secrets first, or have them set with integrations rotate\n'
    expect(await change('required')).toEqual({
      code: 2,
      stdout: '',
      stderr: `${demand}error: --confirm is required when prompts are off or there is no terminal\nhint: pass --confirm required\n`,
    })
    expect(await change('required', '--dry-run')).toEqual({
      code: 0,
      stdout: 'required\n',
      stderr: `${demand}would change the mode from migrating to required\n`,
    })
    expect(await mode(at)).toBe('migrating')
    expect(await change('required', '--confirm', 'required', '-o', 'id')).toMatchObject({
      code: 0,
      stdout: 'required\n',
    })
    expect(await opened(at, key)).toEqual([signingSecret(9), botToken(1)])
    expect(await status()).toEqual({ code: 0, mode: 'required', plain: 0, unread: null })

    // From here on a plain value is not one that this program wrote.
    await db.query('UPDATE integrations SET webhook_secret = ?', signingSecret(3))
    expect(await runInProcess(['keys', 'reencrypt', '-o', 'id'], { env })).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('warning: the webhook-secret of Acme/support (app-1) cannot be decrypted: '),
    })
    expect((await columns(at))[0]?.webhook_secret).toBe(signingSecret(3))
    const [unsealed] = JSON.parse(
      (await runInProcess(['keys', 'status', '-o', 'json', '--fields', 'problems'], { env })).stdout,
    ).problems
    expect(unsealed).toEqual({
      problem: 'current values are not encrypted, although the mode is required: 1',
      hint: 'integrations audit verify names them; replace each with integrations rotate <ref> --end-previous --grace 0',
    })
    expect(await status()).toEqual({ code: 8, mode: 'required', plain: 1, unread: null })

    expect(await change('off')).toMatchObject({ code: 5 })
    expect(await change('migrating', '-o', 'id')).toMatchObject({ code: 0, stdout: 'migrating\n' })
    expect(await change('off')).toEqual({
      code: 0,
      stdout: 'off\n',
      stderr: 'changed the mode from migrating to off\nnext: integrations keys reencrypt --decrypt\n',
    })
    expect(await change('off')).toMatchObject({ code: 0, stderr: 'the mode is already off\n' })
    expect(await run(['keys', 'status', '-o', 'id'], { env })).toMatchObject({
      code: 8,
      stderr: expect.stringContaining(
        'current values are encrypted, so the application cannot read them: 2; integrations keys reencrypt --decrypt\n',
      ),
    })
    const encrypted = await columns(at)
    expect(await runInProcess(['keys', 'reencrypt'], { env })).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'error: --decrypt is required: the mode is off, so current values would be stored plain\nhint: pass --decrypt, or keep values encrypted with integrations keys mode migrating\n',
    })
    expect(await columns(at)).toEqual(encrypted)
    expect(await runInProcess(['keys', 'reencrypt', '--decrypt'], { env })).toMatchObject({ code: 0 })
    expect(await columns(at)).toEqual([{ id: 'app-1', webhook_secret: signingSecret(3), access_token: botToken(1) }])
    expect(await status()).toEqual({ code: 0, mode: 'off', plain: 2, unread: 0 })
    expect((await events(at)).filter(({ action }) => action === 'keys.mode').map(({ fields }) => fields)).toEqual([
      'off>migrating',
      'migrating>required',
      'required>migrating',
      'migrating>off',
    ])
    expect(await db.query('SELECT version FROM integration_versions')).toEqual([])
  })

  test('at a terminal the mode is typed to go on, and a bar is drawn', async () => {
    const at = await adopted(kind)
    expect(
      await runInTerminal(['keys', 'mode', 'migrating'], [['Type migrating', 'no\r']], { env: at.env }),
    ).toMatchObject({
      code: 130,
    })
    expect(await mode(at)).toBe('off')
    expect(
      await runInTerminal(['keys', 'mode', 'migrating'], [['Type migrating', 'migrating\r']], { env: at.env }),
    ).toMatchObject({ code: 0 })
    expect(await mode(at)).toBe('migrating')
    const bar = await runInTerminal(['keys', 'reencrypt'], [], { env: at.env })
    expect(bar).toMatchObject({ code: 0, screen: expect.stringContaining('1 of 1') })
    expect(bar.screen.trimEnd()).toMatch(/changed 2 values$/)
    const still = await runInTerminal(['keys', 'reencrypt'], [], { env: { ...at.env, CI: '1' } })
    expect(still).toEqual({ code: 0, screen: 'changed 0 values\r\n' })
  })

  test('a value that does not open is reported, and the others go on', async () => {
    const at = await place(kind)
    const { db, env } = at
    await addSupport(at)
    const next = await addKey(at)
    expect(await runInProcess(['keys', 'activate', next, '-o', 'id'], { env })).toMatchObject({ code: 0 })
    const [row] = await columns(at)
    const broken = String(row?.webhook_secret).replace(/.$/, (end) => (end === 'A' ? 'Q' : 'A'))
    await db.query('UPDATE integrations SET webhook_secret = ?', broken)
    const { code, stdout, stderr } = await run(['keys', 'reencrypt'], { env })
    expect({ code, stdout }).toEqual({ code: 6, stdout: `required\t${next}\t1\n` })
    expect(stderr).toBe(
      `changed 1 value
warning: the webhook-secret of Acme/support (${row?.id}) cannot be decrypted: the stored webhook secret cannot be decrypted: it was changed, or belongs to another row
error: values that cannot be decrypted, and stay as they are: 1
hint: integrations audit verify shows since when; store the value again with integrations rotate --end-previous --grace 0
`,
    )
    expect((await columns(at))[0]?.webhook_secret).toBe(broken)
    expect((await columns(at))[0]?.access_token).not.toBe(row?.access_token)

    // Nothing is left to do, and yet every value is opened; an old one put back opens too.
    await db.query('UPDATE integration_secrets SET fingerprint = ? WHERE field = ?', 'f'.repeat(16), 'access_token')
    const before = await everything(at)
    for (const [flags, verb] of [
      [['--dry-run'], 'would change'],
      [[], 'changed'],
    ] as const) {
      const again = await run(['keys', 'reencrypt', ...flags, '-o', 'json'], { env })
      const undecryptable = { id: row?.id, name: 'Acme/support', code: 'DECRYPTION_FAILED' }
      expect({ ...again, stdout: JSON.parse(again.stdout) }).toMatchObject({
        code: 6,
        stdout: {
          changed: 0,
          undecryptable: [
            { ...undecryptable, field: 'webhookSecret' },
            { ...undecryptable, field: 'accessToken' },
          ],
        },
        stderr: expect.stringContaining(notes(`${verb} 0 values`)),
      })
    }
    expect(await everything(at)).toBe(before)
  })

  test('a dry run of a change of keys changes neither the database nor the key file', async () => {
    const at = await place(kind)
    const { env, file } = at
    await addSupport(at)
    const old = await sealId(at)
    const next = await addKey(at)
    const before = [await everything(at), readFileSync(file, 'utf8')]
    const dry = async (...args: string[]) => {
      const { code, stdout, stderr } = await run(
        ['keys', ...args, '--dry-run', '--fields', 'id,state,current,inKeySet'],
        { env },
      )
      return [
        code,
        `${stdout}${stderr}`.replace(/enc-[0-9a-f]{12}/g, (id) => ({ [old]: 'old', [next]: 'next' })[id] ?? 'new'),
      ]
    }
    expect(await dry('add')).toEqual([
      0,
      'new\tdecrypt-only\t0\tfalse\nwould add the key new, which decrypts and does not encrypt yet\n',
    ])
    expect(await dry('activate', next)).toEqual([0, 'next\tactive\t0\ttrue\nthe key next would encrypt from now on\n'])
    expect(await dry('retire', next)).toEqual([0, 'next\tretired\t0\ttrue\nwould retire the key next\n'])
    expect((await dry('retire', old))[0]).toBe(5)
    const command = { DATABASE_URL: at.db.url, INTEGRATIONS_KEYS_COMMAND: `cat ${quote(file)}` }
    expect(await run(['keys', 'add', '--dry-run', '--fields', 'state'], { env: command })).toEqual({
      code: 0,
      stdout: 'decrypt-only\n',
      stderr: 'would print a key to add to the set that INTEGRATIONS_KEYS_COMMAND prints\n',
    })
    expect([await everything(at), readFileSync(file, 'utf8')]).toEqual(before)
  })

  test('nothing plain is in the files of a database that seals all', async () => {
    const at = await place(kind)
    const { db, env } = at
    await addSupport(at)
    const next = await addKey(at)
    expect(await runInProcess(['keys', 'activate', next], { env })).toMatchObject({ code: 0 })
    expect(await runInProcess(['keys', 'reencrypt'], { env })).toMatchObject({ code: 0 })
    const stored =
      kind === 'sqlite'
        ? readdirSync(dirname(db.url.slice('file:'.length))).map((name) =>
            readFileSync(join(dirname(db.url.slice('file:'.length)), name), 'latin1'),
          )
        : [
            JSON.stringify(
              await Promise.all(
                ['integrations', 'integration_secrets', 'integration_events'].map((table) =>
                  db.query(`SELECT * FROM ${table}`),
                ),
              ),
            ),
          ]
    expect(stored.join('')).toContain('support')
    for (const secret of [signingSecret(1), botToken(1)]) expect(stored.join('')).not.toContain(secret)
  })
})

test('a value that the application writes while it is being sealed is not lost', async () => {
  const at = await adopted('postgresql')
  expect(await runInProcess(['keys', 'mode', 'migrating', '--confirm', 'migrating'], { env: at.env })).toMatchObject({
    code: 0,
  })
  const application = new pg.Client({ connectionString: at.db.url })
  await application.connect()
  await application.query('BEGIN')
  await application.query('UPDATE integrations SET webhook_secret = $1', [signingSecret(5)])
  const reencrypting = runProgram(['keys', 'reencrypt', '-o', 'id'], { env: at.env })
  const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
  while ((await postgresqlDatabase(at.db.url).query(waiting)).length === 0)
    await new Promise((done) => setTimeout(done, 20))
  await application.query('COMMIT')
  await application.end()
  expect(await reencrypting).toMatchObject({ code: 0, stderr: 'changed 2 values\n' })
  expect(await opened(at, await sealId(at))).toEqual([signingSecret(5), botToken(1)])
})

test('keys are made for a new database, once, and where they are is said', async () => {
  const home = freshFolder()
  const env = { HOME: home, INTEGRATIONS_KEYS_FILE: '' }
  const made = await runProgram(['keys', 'init', '--fields', 'purpose,state,inKeySet'], { env })
  const folder = join(home, '.config', 'integrations', 'keys')
  const file = join(folder, readdirSync(folder)[0] ?? '')
  const keys = 'audit\tactive\ttrue\nencryption\tactive\ttrue\nfingerprint\tactive\ttrue\n'
  expect(made).toMatchObject({ code: 0, stdout: keys })
  expect(made.stderr).toContain(
    `generated keys in ${file}; keep a copy of it elsewhere: without it, the secrets of this database are lost\nthe keys of this database are in ${file}\n`,
  )
  const text = readFileSync(file, 'utf8')
  expect(await runProgram(['keys', 'init', '--fields', 'purpose,state,inKeySet'], { env })).toEqual({
    code: 0,
    stdout: keys,
    stderr: `the keys of this database already exist, in ${file}\n`,
  })
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test('keys init --print prints a key set, and touches nothing', async () => {
  const home = freshFolder()
  const env = { HOME: home, INTEGRATIONS_KEYS_FILE: '' }
  const { code, stdout, stderr } = await runProgram(['keys', 'init', '--print'], { env })
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `store this key set where a command can print it, readable only for people who may read secrets; then:\nnext: export INTEGRATIONS_KEYS_COMMAND='the command that prints it'\n      integrations keys init\n`,
  })
  expect(
    [...parseKeySet(stdout, 'it').values()].map(({ id, use, bytes }) => [id.split('-')[0], use, bytes.length]),
  ).toEqual([
    ['enc', 'enc', 32],
    ['fingerprint', 'sig', 32],
    ['audit', 'sig', 32],
  ])
  expect(readdirSync(home)).toEqual([])

  // It is one that a database can be begun with.
  writeFileSync(join(home, 'set'), stdout)
  const keyring = { HOME: home, INTEGRATIONS_KEYS_COMMAND: `cat ${quote(join(home, 'set'))}` }
  expect(await runInProcess(['keys', 'init', '--fields', 'inKeySet'], { env: keyring })).toMatchObject({
    code: 0,
    stdout: 'true\ntrue\ntrue\n',
  })
})

test('databases that share a key file and add keys at once lose none', async () => {
  const first = await place('sqlite')
  const places = [
    first,
    ...(await Promise.all([1, 2, 3, 4, 5].map(() => freshDatabase('sqlite')))).map((db) => ({ ...first, db })),
  ]
  const added = await Promise.all(
    places.map(({ db, env }) => addKey({ ...first, db, env: { ...env, DATABASE_URL: db.url } })),
  )
  expect([...keysOf(first).keys()]).toEqual(expect.arrayContaining(added))
  expect(readdirSync(dirname(first.file))).toEqual(['keys.json'])
})

test('a mode that is not decided yet is not said to be one', async () => {
  const folder = freshFolder()
  const env = { XDG_DATA_HOME: folder, INTEGRATIONS_KEYS_FILE: join(folder, 'none.json') }
  expect(await runInProcess(['list'], { env })).toMatchObject({ code: 0 })
  const note = 'the mode is undecided, and there are no keys: the first change generates keys and decides the mode'
  expect(await runProgram(['keys', 'mode', '-o', 'json'], { env })).toEqual({
    code: 0,
    stdout: '{\n  "mode": null,\n  "outcome": "unchanged"\n}\n',
    stderr: notes(note),
  })
  expect(await runProgram(['keys', 'status', '-o', 'json', '--fields', 'mode,activeKey,problems'], { env })).toEqual({
    code: 0,
    stdout: '{\n  "mode": null,\n  "activeKey": null,\n  "problems": []\n}\n',
    stderr: notes(note),
  })
  const made = { ...env, INTEGRATIONS_KEYS_FILE: join(folder, 'keys.json') }
  expect(await runProgram(['keys', 'mode', 'migrating', '--dry-run'], { env: made })).toEqual({
    code: 0,
    stdout: 'migrating\n',
    stderr: 'would change the mode from required to migrating\n',
  })
  expect(readdirSync(folder).filter((name) => name.endsWith('.json'))).toEqual([])
})

test('what SQLite cannot hand over whole is refused, and stays as it is until it is replaced', async () => {
  const at = await adopted('sqlite')
  const { db, env } = at
  const bytes = () =>
    db.query(
      'SELECT typeof(webhook_secret) AS w, hex(webhook_secret) AS hw, typeof(access_token) AS a, hex(access_token) AS ha FROM integrations',
    )
  await db.query(
    "UPDATE integrations SET webhook_secret = 'be' || char(0) || 'hind', access_token = CAST('bytes' AS BLOB)",
  )
  const before = await bytes()
  const why = (field: string) =>
    `the stored ${field} of the integration app-1 is not a text, or has a zero byte in it: it cannot be read whole`
  const hint = 'find out who wrote it; then store the right value with integrations rotate --end-previous --grace 0'
  expect(await runProgram(['secrets', 'reveal', 'app-1', 'webhook-secret'], { env })).toEqual({
    code: 6,
    ...refused(why('webhook secret'), hint),
  })
  expect(await runInProcess(['secrets', 'reveal', 'app-1', 'access-token'], { env })).toEqual({
    code: 6,
    ...refused(why('access token'), hint),
  })
  expect(
    await runInProcess(['keys', 'mode', 'migrating', '--confirm', 'migrating', '-o', 'id'], { env }),
  ).toMatchObject({
    code: 0,
  })
  const { code, stdout, stderr } = await runProgram(['keys', 'reencrypt', '--fields', 'changed'], { env })
  expect({ code, stdout, stderr }).toEqual({
    code: 6,
    stdout: '0\n',
    stderr: `changed 0 values
warning: the webhook-secret of Acme/support (app-1) cannot be decrypted: ${why('webhook secret')}
warning: the access-token of Acme/support (app-1) cannot be decrypted: ${why('access token')}
error: values that cannot be decrypted, and stay as they are: 2
hint: ${hint}
`,
  })
  const verified = await runInProcess(['audit', 'verify', '-o', 'json', '--fields', 'problems'], { env })
  const place = { id: 'app-1', name: 'Acme/support' }
  expect({ code: verified.code, ...JSON.parse(verified.stdout) }).toEqual({
    code: 8,
    problems: [
      { ...place, field: 'webhookSecret', problem: why('webhook secret') },
      { ...place, field: 'accessToken', problem: why('access token') },
    ],
  })
  expect(await bytes()).toEqual(before)
  expect(
    await runInProcess(
      [
        'rotate',
        'app-1',
        '--webhook-secret-stdin',
        '--access-token-env',
        'TOKEN',
        '--no-expiry',
        '--end-previous',
        '--grace',
        '0',
        '-o',
        'id',
      ],
      { env: { ...env, TOKEN: botToken(4) }, input: signingSecret(4) },
    ),
  ).toMatchObject({ code: 0 })
  expect(await opened(at, await sealId(at))).toEqual([signingSecret(4), botToken(4)])
})

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { freshFolder, runCommand, runProgram } from '../support/program.ts'
import { populate } from '../support/sample-commands.ts'
import { botToken, refreshToken, signingSecret } from '../support/samples.ts'

const guide = readFileSync('docs/reading-secrets.md', 'utf8')
const [, code = ''] = /^```python\n([\s\S]*?)^```/m.exec(guide) ?? []
const program = join(freshFolder(), 'read_secrets.py')
writeFileSync(program, code)

// Where everything is checked, it is a failure when this cannot be.
const possible = spawnSync('python3', ['-c', 'import cryptography']).status === 0 || Boolean(process.env.CI)

test('the value to test with is the first of the vectors', () => {
  const [{ cell, keyId, rootKey, cellKey, plaintextParts, sealed }] = JSON.parse(
    readFileSync('test/unit/crypto/vectors.json', 'utf8'),
  )
  for (const value of [cell.id, cell.field, keyId, rootKey, cellKey, plaintextParts.join(''), sealed])
    expect(guide).toContain(`\`${value}\``)
})

describe.runIf(possible)('the Python program', () => {
  const keys = process.env.INTEGRATIONS_TEST_KEYS ?? ''

  async function database(): Promise<{ db: TestDatabase; read: (field: string) => Promise<string[] | string> }> {
    const db = await freshDatabase('sqlite')
    await populate(db)
    const { stdout } = await runProgram(['show', 'Acme/support', '-o', 'id'], { env: { DATABASE_URL: db.url } })
    const file = db.url.slice('file:'.length)
    return {
      db,
      // What it prints, or the last line of what it says of an error.
      read: async (field) => {
        const run = await runCommand('python3', [program, keys, file, stdout.trim(), field])
        return run.code === 0 ? run.stdout.split('\n').slice(0, -1) : (run.stderr.trim().split('\n').at(-1) ?? '')
      },
    }
  }

  test('decrypts the current value and the previous one that is still accepted', async () => {
    const { db, read } = await database()
    expect({
      webhookSecret: await read('webhook_secret'),
      accessToken: await read('access_token'),
      refreshToken: await read('refresh_token'),
    }).toEqual({
      webhookSecret: [signingSecret(1), signingSecret(2)],
      accessToken: [botToken()],
      refreshToken: [refreshToken()],
    })
    await db.query(
      "UPDATE integration_secrets SET valid_until = '2026-01-01T00:00:00.000+00:00' WHERE sealed IS NOT NULL",
    )
    expect(await read('webhook_secret')).toEqual([signingSecret(1)])
  })

  test('decrypts the value to test with, in its cell alone', async () => {
    const vectors = JSON.parse(readFileSync('test/unit/crypto/vectors.json', 'utf8'))
    const script = `
import json, sys
from read_secrets import cell_key, decrypt
for v in json.load(sys.stdin):
    root, id, field = bytes.fromhex(v["rootKey"]), v["cell"]["id"], v["cell"]["field"]
    print(cell_key(root, id, field).hex(), decrypt({v["keyId"]: root}, id, field, v["sealed"]))
    for other in [(id, "other"), ("other", field)]:
        try: print("opened", decrypt({v["keyId"]: root}, *other, v["sealed"]))
        except Exception as error: print(type(error).__name__)
    for other in [v["sealed"] + "\\n", v["sealed"] + "=", v["sealed"][:-11]]:
        try: print("opened", decrypt({v["keyId"]: root}, id, field, other))
        except ValueError as error: print(error)
`
    const run = await runCommand('python3', ['-c', script], {
      input: JSON.stringify(vectors),
      env: { PYTHONPATH: join(program, '..') },
    })
    const refused = ['InvalidTag', 'InvalidTag', ...Array(3).fill('the value is not encrypted')]
    expect(run).toEqual({
      code: 0,
      stderr: '',
      stdout: vectors
        .flatMap((v: { cellKey: string; plaintextParts: string[] }) => [
          `${v.cellKey} ${v.plaintextParts.join('')}`,
          ...refused,
        ])
        .map((line: string) => `${line}\n`)
        .join(''),
    })
  })

  test('asks the database whether a value is encrypted', async () => {
    const { db, read } = await database()
    const [sealed] = await db.query("SELECT access_token AS text FROM integrations WHERE name = 'support'")
    await db.query(
      "UPDATE integrations SET webhook_secret = access_token, refresh_token = 'plain' WHERE name = 'support'",
    )
    expect(await read('webhook_secret')).toBe('cryptography.exceptions.InvalidTag')
    expect(await read('refresh_token')).toBe('ValueError: the value is not encrypted')
    for (const mode of ['off', 'migrating']) {
      await db.query("UPDATE integration_settings SET value = ? WHERE key = 'sealing'", mode)
      expect(await read('refresh_token')).toEqual(['plain'])
      expect(await read('access_token')).toEqual([botToken()])
    }
    await db.query("DELETE FROM integration_secrets WHERE field = 'access_token'")
    expect(await read('access_token')).toEqual([sealed?.text])
  })
})

import { describe, expect, test } from 'vitest'
import { createReceiver } from '../../src/receiver/receiver.ts'
import { contents, freshDatabase, kinds } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { testKeyFile } from '../support/keyring.ts'
import { signingSecret } from '../support/samples.ts'
import { fromSlack } from '../support/webhooks.ts'

const refused = {
  code: 6,
  stdout: '',
  stderr:
    'error: another program changed the encryption mode, the keys or the end of the audit log\nhint: integrations audit verify tells what was changed; put it back, or restore a backup\n',
}

describe.each(kinds)('how secrets are kept, changed by somebody without keys, on %s', (kind) => {
  const start = async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const run = (words: string, input = '') => runInProcess(words.split(' '), { env, input })
    const done = async (words: string, input = '') => {
      const outcome = await runInProcess(words.split(' '), { env, input })
      expect([words, outcome]).toMatchObject([words, { code: 0 }])
      return outcome.stdout
    }
    const problems = async () => {
      const { code, stdout } = await runInProcess(['audit', 'verify', '-o', 'json'], { env })
      return { code, problems: JSON.parse(stdout).problems }
    }
    await done('add --platform slack --new-workspace Acme --name support --webhook-secret-stdin', signingSecret(1))
    return { db, run, done, problems }
  }
  const rotation = 'rotate Acme/support --webhook-secret-stdin --grace 0'

  test('the mode', async () => {
    const { db, run, problems } = await start()
    await db.query("UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'")
    const before = await contents(db)
    for (const words of [
      rotation,
      'keys reencrypt',
      'disable Acme/support',
      'secrets reveal Acme/support webhook-secret',
    ])
      expect([words, await run(words, signingSecret(2))]).toEqual([words, refused])
    expect(await contents(db)).toEqual(before)
    expect(await problems()).toEqual({
      code: 8,
      problems: [{ mode: 'off', problem: 'the log last set the mode required' }],
    })
    await db.query("UPDATE integration_settings SET value = 'required' WHERE key = 'sealing'")
    expect(await run(rotation, signingSecret(2))).toMatchObject({ code: 0 })
    expect(await problems()).toEqual({ code: 0, problems: [] })
  })

  test('the states of keys', async () => {
    const { db, run, done, problems } = await start()
    const old = JSON.parse(await done('keys list -o json')).find(
      ({ purpose }: { purpose: string }) => purpose === 'encryption',
    ).id
    const added = (await done('keys add -o id')).trim()
    await done(`keys activate ${added}`)
    await done('keys reencrypt')
    await done(`keys retire ${old} --confirm ${old}`)
    const set = (id: string, state: string) => db.query('UPDATE integration_keys SET state = ? WHERE id = ?', state, id)
    await set(old, 'active')
    await set(added, 'decrypt-only')
    expect(await run(rotation, signingSecret(2))).toEqual(refused)
    expect(await problems()).toEqual({
      code: 8,
      problems: [
        { keyId: old, problem: 'the key is active; the log last set it retired' },
        { keyId: added, problem: 'the key is decrypt-only; the log last set it active' },
      ],
    })
    await set(old, 'retired')
    await set(added, 'active')
    expect(await run(rotation, signingSecret(2))).toMatchObject({ code: 0 })
  })

  test('a head of an earlier time, without its MAC, or with another owner of the tables', async () => {
    const { db, run, done, problems } = await start()
    const head = async () => (await db.query("SELECT seq, value, mac FROM integration_settings WHERE key = 'head'"))[0]
    const put = (row: Record<string, unknown> | undefined) =>
      db.query(
        "UPDATE integration_settings SET seq = ?, value = ?, mac = ? WHERE key = 'head'",
        Number(row?.seq),
        String(row?.value),
        row?.mac === null ? null : String(row?.mac),
      )
    const early = await head()
    await done('disable Acme/support')
    const late = await head()
    for (const wrong of [
      { ...late, mac: null },
      { seq: 0, value: '', mac: null },
      { ...late, mac: early?.mac },
      { ...late, value: early?.value },
    ]) {
      await put(wrong)
      expect(await run('enable Acme/support')).toEqual(refused)
      expect(await problems()).toMatchObject({ code: 8 })
    }
    await put(late)
    await db.query("UPDATE integration_settings SET value = 'adopted' WHERE key = 'database'")
    expect(await run('enable Acme/support')).toEqual(refused)
    expect(await problems()).toEqual({
      code: 8,
      problems: [{ problem: 'the head row does not vouch for the end of the log and the settings' }],
    })
    await db.query("UPDATE integration_settings SET value = 'own' WHERE key = 'database'")
    expect(await run('enable Acme/support')).toMatchObject({ code: 0 })
  })

  test('the head row and the mode, as before the first change: a receiver accepts no secret of theirs', async () => {
    const { db } = await start()
    await db.query("UPDATE integrations SET slack_team_id = 'T012AB3CD', webhook_secret = ?", signingSecret(2))
    await db.query("UPDATE integration_settings SET seq = 0, value = '', mac = NULL WHERE key = 'head'")
    await db.query("UPDATE integration_settings SET value = 'off' WHERE key = 'sealing'")
    const errors: unknown[] = []
    const receiver = await createReceiver({
      database: db.url,
      keys: { file: testKeyFile() },
      onError: (error) => errors.push(error),
    })
    const said = await receiver.slack(fromSlack(signingSecret(2)))
    await receiver.close()
    expect([said, errors[0]]).toMatchObject([{ kind: 'rejected', status: 503 }, { code: 'DATABASE_TAMPERED' }])
  })

  test('the head row, removed', async () => {
    const { db, run, problems } = await start()
    await db.query("DELETE FROM integration_settings WHERE key = 'head'")
    const before = await contents(db)
    const removed = 'the head row of integration_settings was removed'
    for (const words of [rotation, 'toggle Acme/support', 'keys reencrypt'])
      expect([words, await run(words, signingSecret(2))]).toEqual([
        words,
        { ...refused, stderr: refused.stderr.replace(/^error: .*/, `error: ${removed}`) },
      ])
    expect(await contents(db)).toEqual(before)
    expect(await problems()).toEqual({ code: 8, problems: [{ problem: removed }] })
  })

  test('all that was recorded, removed', async () => {
    const { db, run, problems } = await start()
    if (kind === 'postgresql') await db.query('ALTER TABLE integration_events DISABLE TRIGGER USER')
    else await db.query('DROP TRIGGER integration_events_no_delete')
    await db.query('DELETE FROM integration_events')
    await db.query('DELETE FROM integration_keys')
    await db.query("UPDATE integration_settings SET seq = 0, value = '', mac = NULL WHERE key = 'head'")
    await db.query("UPDATE integration_settings SET value = '' WHERE key = 'sealing'")
    const before = await contents(db)
    expect(await run(rotation, signingSecret(2))).toEqual({
      ...refused,
      stderr: refused.stderr.replace(/^error: .*/, 'error: the keys were removed from integration_keys'),
    })
    expect(await contents(db)).toEqual(before)
    expect(await problems()).toEqual({
      code: 8,
      problems: [{ problem: 'the keys were removed from integration_keys' }],
    })
  })
})

import { describe, expect, test } from 'vitest'
import { instantOf } from '../../../src/brands.ts'
import { openStore } from '../../../src/store/open.ts'
import { freshDatabase, kinds } from '../../support/database.ts'
import { storeOptions } from '../../support/keyring.ts'

describe.each(kinds)('on %s', (kind) => {
  test('of the requests to revoke a token, those are told that no answer followed, or an unknown one', async () => {
    const db = await freshDatabase(kind)
    const at = (hour: number) => `2026-01-02T0${hour}:00:00.000Z`
    const stored = (hour: number) => at(hour).replace('Z', '+00:00')
    let seq = 1000
    const event = (hour: number, id: string, token: string, outcome?: string) =>
      db.query(
        `INSERT INTO integration_events (seq, at, request_id, action, outcome, target_type, target_id, target_name, fields, os_user, host, pid, program_version, format, previous_hash, hash)
         VALUES (?, ?, '', 'secret.revoke', ?, 'integration', ?, ?, ?, '', '', 1, '', 2, '', '')`,
        ++seq,
        stored(hour),
        outcome === undefined ? 'started' : outcome === 'revoked' ? 'done' : 'failed',
        id,
        `Acme/${id}`,
        `access_token,fingerprint:${token}${outcome === undefined ? '' : `,outcome:${outcome}`}`,
      )
    await event(0, 'a', 'early')
    await event(1, 'a', 'lost')
    await event(2, 'b', 'lost')
    await event(2, 'a', 'done')
    await event(3, 'a', 'done', 'revoked')
    await event(3, 'a', 'refused')
    await event(4, 'a', 'refused', 'refused')
    await event(4, 'a', 'unknown')
    await event(5, 'a', 'unknown', 'unknown')
    // Another integration had the same token, whose answer counts for both.
    await event(5, 'a', 'shared')
    await event(6, 'c', 'shared')
    await event(7, 'c', 'shared', 'revoked')
    // Asked again, it was revoked; asked once more, it is not known.
    await event(7, 'd', 'again')
    await event(8, 'd', 'again', 'revoked')
    await event(9, 'd', 'again')
    const store = await openStore(storeOptions(db))
    const { unknown, answers } = await store.read(async ({ revocations }) => ({
      unknown: await revocations.unknown(instantOf(Date.parse(at(1)))),
      answers: await revocations.answers('a'),
    }))
    await store.close()
    const asked = (id: string, fingerprint: string, hour: number) => ({
      fingerprint,
      at: at(hour),
      name: `Acme/${id}`,
      expiresAt: null,
    })
    expect(Object.fromEntries(unknown)).toEqual({
      a: [asked('a', 'lost', 1), asked('a', 'unknown', 4)],
      b: [asked('b', 'lost', 2)],
      d: [asked('d', 'again', 9)],
    })
    expect(Object.fromEntries(answers)).toEqual({
      early: 'started',
      lost: 'started',
      done: 'revoked',
      refused: 'refused',
      unknown: 'unknown',
      shared: 'started',
    })
  })
})

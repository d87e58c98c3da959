import { describe, expect, test } from 'vitest'
import { instantOf } from '../../../src/brands.ts'
import { newKey } from '../../../src/crypto/key-set.ts'
import { revocationReader } from '../../../src/store/audit/revocations.ts'
import { stateReader } from '../../../src/store/audit/row-states.ts'
import { WrittenColumns } from '../../../src/store/audit/written.ts'
import { acceptedSecretReader } from '../../../src/store/secrets/accepted.ts'
import { holderReader } from '../../../src/store/secrets/holders.ts'
import { readStartOfChange } from '../../../src/store/start-of-change.ts'
import { type IntegrationReader, integrationReader } from '../../../src/store/tables/integrations.ts'
import type { Page } from '../../../src/store/tables/page.ts'
import { presenceFrom } from '../../../src/store/tables/secret-metadata.ts'
import { workspaceReader } from '../../../src/store/tables/workspaces.ts'
import { freshDatabase, type Kind, kinds, type TestDatabase } from '../../support/database.ts'
import { plansOf } from '../../support/plans.ts'

/** 20,000 integrations in 200 workspaces, a team each; two of three hold the same secret, the others one of their own. */
async function filled(kind: Kind): Promise<TestDatabase> {
  const db = await freshDatabase(kind)
  const numbers = (count: number) =>
    kind === 'sqlite'
      ? `(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count}) SELECT n FROM numbers)`
      : `generate_series(1, ${count}) AS numbers (n)`
  const text = 'CAST(n AS TEXT)'
  const now = "'2026-01-02 03:04:05'"
  const at = kind === 'sqlite' ? now : `CAST(${now} AS timestamp)`
  for (const statement of [
    `INSERT INTO workspaces (id, name, created_at, updated_at) SELECT 'w-' || ${text}, 'Workspace ' || ${text}, ${at}, ${at} FROM ${numbers(200)}`,
    `INSERT INTO users (id, email, created_at, updated_at) SELECT 'u-' || ${text}, ${text} || '@example.com', ${at}, ${at} FROM ${numbers(200)}`,
    `INSERT INTO integrations (id, workspace_id, platform, name, webhook_secret, slack_team_id, created_at, created_by)
      SELECT 'i-' || ${text}, 'w-' || CAST(1 + n % 200 AS TEXT), 'slack', 'desk ' || CAST(n % 7000 AS TEXT), 'sealed', 'T' || ${text}, ${at}, 'u-' || CAST(1 + n % 200 AS TEXT) FROM ${numbers(20_000)}`,
    `INSERT INTO integration_secrets (integration_id, field, number, fingerprint, key_id, origin, set_at)
      SELECT 'i-' || ${text}, 'webhook_secret', 1, CASE WHEN n % 3 = 0 THEN 'print ' || ${text} ELSE 'print' END, 'key', 'provided', ${at} FROM ${numbers(20_000)}`,
    // A file of SQLite has no statistics unless an application makes them.
    ...(kind === 'sqlite' ? [] : ['VACUUM ANALYZE']),
  ])
    await db.query(statement)
  return db
}

/** What is looked up, what it finds of `filled`, and the index that leads to it; on PostgreSQL that of byte order, where it is another. */
const lookups: {
  readonly [what: string]: readonly [(db: IntegrationReader) => Promise<number>, index: string, postgresql?: string]
} = {
  'an id': [(db) => count(db.match({ by: 'id', value: 'i-7' }, 1)), 'integrations_1', 'integrations_pkey'],
  'a workspace and a name': [
    (db) => count(db.match({ by: 'path', value: 'Workspace 8/desk 7' }, 11)),
    'integration_workspace_idx',
  ],
  'a name': [(db) => count(db.match({ by: 'name', value: 'desk 7' }, 11)), 'integration_name_idx'],
  'the beginning of an id': [
    (db) => count(db.match({ by: 'idPrefix', value: 'i-1999' }, 11)),
    'integrations_1',
    'integration_id_idx',
  ],
  'a team': [
    (db) => count(db.match({ by: 'column', platform: 'slack', column: 'slackTeamId', value: 'T7' }, 1001)),
    'integration_team_idx',
  ],
  'some teams': [
    (db) => count(db.match({ by: 'columnIn', platform: 'slack', column: 'slackTeamId', values: ['T7', 'T8'] }, 1001)),
    'integration_team_idx',
  ],
  'a name that may be taken': [
    (db) => count(db.named({ workspaceId: 'w-8', platform: 'slack', name: 'desk 7' }, 11)),
    'integration_workspace_idx',
  ],
  'names to suggest': [(db) => count(db.names(10)), 'integration_workspace_idx'],
  'names that begin so': [(db) => count(db.names(1000, 'Workspace 8/desk 7')), 'integration_workspace_idx'],
  'a page': [(db) => page(db, { sort: 'workspace' }), 'integration_workspace_name_idx'],
  'a page from the last workspace on': [
    (db) => page(db, { sort: 'workspace', descending: true }),
    'integration_workspace_name_idx',
  ],
  'a later page': [(db) => page(db, { sort: 'workspace', cursor: 'i-7' }), 'integration_workspace_idx'],
  'a later page, from the last workspace on': [
    (db) => page(db, { sort: 'workspace', descending: true, cursor: 'i-7' }),
    'integration_workspace_idx',
  ],
  'a page by name': [(db) => page(db, { sort: 'name' }), 'integration_name_idx'],
  'a page by name, from the end': [(db) => page(db, { sort: 'name', descending: true }), 'integration_name_idx'],
  'a later page by name': [
    (db) => page(db, { sort: 'name', cursor: 'i-7' }),
    'integration_name_idx ((name,id)>(?,?))',
    'Index Cond: (((name)::text IS NOT NULL) AND ((name)::text >= (InitPlan',
  ],
  'a later page by name, from the end': [
    (db) => page(db, { sort: 'name', descending: true, cursor: 'i-7' }),
    'integration_name_idx',
  ],
  'how much of an id names it': [
    async (db) => (await db.idLength(['i-7', 'i-77'])) ?? 0,
    'integrations_1 (id>?)',
    'integration_id_idx',
  ],
  'whether the beginning of an id is a name': [
    async (db) => (await db.idLength(['i-7-of-many', 'i-77-of-many'])) ?? 0,
    'integration_name_idx (name=?)',
    'integration_name_idx',
  ],
  'a page by id': [(db) => page(db, { sort: 'id' }), 'integrations_1', 'integration_id_idx'],
  'a later page by id': [(db) => page(db, { sort: 'id', cursor: 'i-7' }), 'integrations_1', 'integration_id_idx'],
}

/** A plan that reads all integrations, or an index of theirs without an order that ends early. */
/** As in a database of this program. */
const recorded = { shared: false, presence: presenceFrom('none') }

const scans =
  /Seq Scan on integrations(?!.*never executed)|SCAN (i|integrations)( USING COVERING INDEX \S+)?( LEFT-JOIN)?$/m

const count = async (found: Promise<readonly unknown[]>) => (await found).length

async function page(db: IntegrationReader, options: Pick<Page, 'sort' | 'cursor'> & { descending?: boolean }) {
  let rows = 0
  for await (const batch of db.list({}, { descending: false, limit: 10, ...options })) rows += batch.length
  return rows
}

describe.each(kinds)('on %s', (kind) => {
  test('each look-up is by an index', async () => {
    const db = await filled(kind)
    const found: Record<string, unknown> = {}
    const expected: Record<string, unknown> = {}
    for (const [what, [read, index, other = index]] of Object.entries(lookups)) {
      let rows = 0
      const plans = await plansOf(db, async (db, dialect) => {
        rows = await read(integrationReader(db, dialect, recorded))
      })
      const plan = plans.at(-1) ?? ''
      const named = kind === 'sqlite' ? index : other
      found[what] = [rows > 0, plan.includes(named) ? named : plan, plans.find((plan) => scans.test(plan))]
      expected[what] = [true, named, undefined]
    }
    expect(found).toEqual(expected)
  })

  /** The same database with an event about each integration. */
  async function logged(): Promise<TestDatabase> {
    const db = await filled(kind)
    const numbers =
      kind === 'sqlite'
        ? 'WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)'
        : ''
    const from = kind === 'sqlite' ? 'numbers' : 'generate_series(1, 20000) AS numbers (n)'
    await db.query(`${numbers} INSERT INTO integration_events (seq, at, request_id, action, outcome, target_type, target_id, os_user, host, pid, program_version, state, format, previous_hash, hash)
      SELECT n + 1000, ${kind === 'sqlite' ? '' : 'timestamp '}'2026-01-02 03:04:05', '', 'integration.add', 'done', 'integration', 'i-' || CAST(n AS TEXT), '', '', 1, '', '{"columns":{}}', 2, '', '' FROM ${from}`)
    await db.query("UPDATE integration_settings SET seq = 21000 WHERE key = 'head'")
    if (kind === 'postgresql') await db.query('ANALYZE')
    return db
  }

  test('what a change leaves of rows is compared with their newest events, without a walk through the log', async () => {
    const ids = ['i-7', 'i-8']
    const [plan = '', ...others] = await plansOf(await logged(), async (db, dialect) => {
      const states = await stateReader(db, dialect).after('integration', ids, {
        key: newKey('audit'),
        written: new WrittenColumns(),
        asTheyAre: new Set(ids),
        acknowledged: new Set(),
        adopted: true,
      })
      expect([...states.keys()]).toEqual(ids)
    })
    expect(others).toEqual([])
    // Once, and not again to measure what was found.
    expect(plan.match(/integration_events_target_id_seq_idx/g)?.length).toBe(1)
    // Of SQLite, what "e" names is made of the events that were found, and "place" of the characters of a label.
    expect(plan).not.toMatch(/Seq Scan on integration_events|SCAN (?!e$|place$)\w+$/m)
    expect(plan.match(/(CO-ROUTINE|SCAN) e$/gm) ?? []).toEqual(kind === 'sqlite' ? ['CO-ROUTINE e', 'SCAN e'] : [])
  })

  test('what a change begins with is found without a walk through the log', async () => {
    const plans = await plansOf(await logged(), readStartOfChange)
    expect(plans.length).toBe(1)
    expect(plans[0]).toContain('integration_events')
    expect(plans[0]).not.toMatch(/Seq Scan on integration_(events|secrets)|SCAN v$/m)
  })

  test('rows are compared with the log a page at a time, each found by its id', async () => {
    const plans = await plansOf(await logged(), async (db, dialect) => {
      const { rows, next } = await stateReader(db, dialect).unrecorded('integration', {
        adopted: true,
        limit: 200,
        after: 'i-7',
      })
      expect([rows, next]).toEqual([[], expect.stringMatching(/^i-7/)])
    })
    expect(plans.length).toBe(1)
    for (const plan of plans) {
      expect(plan).not.toMatch(scans)
      expect(plan).not.toMatch(/Seq Scan on integration_events|SCAN e$/m)
    }
  })

  test('requests to revoke a token are found among many events', async () => {
    const plans = await plansOf(await logged(), async (db, dialect) => {
      const { unknown } = revocationReader(db, dialect)
      expect(await unknown(instantOf(0))).toEqual(new Map())
    })
    expect(plans.length).toBe(1)
    expect(plans[0]).toContain('integration_events_revocations_idx')
  })

  test('of the integrations of a team, those alone are sorted that are read', async () => {
    const db = await filled(kind)
    const [plan = ''] = await plansOf(db, async (db, dialect) => {
      const match = { by: 'column', platform: 'slack', column: 'slackTeamId', value: 'T7' } as const
      await integrationReader(db, dialect, recorded).match(match, 1001)
    })
    expect(plan.match(/USE TEMP B-TREE FOR ORDER BY|Sort Key/g)?.length).toBe(1)
  })

  test('what is valid of no integration at all is read without any', async () => {
    const db = await filled(kind)
    const plans = await plansOf(db, async (db, dialect) => {
      expect((await acceptedSecretReader(db, dialect).valid('webhookSecret', [])).stored).toEqual([])
    })
    for (const plan of plans) expect(plan).not.toMatch(scans)
  })

  test('integrations are counted in one pass, and secrets of a platform are found one by one', async () => {
    const db = await filled(kind)
    const shown = { limit: 10, descending: true } as const
    const counting = await plansOf(db, async (db, dialect) => {
      const { list, match } = workspaceReader(db, dialect)
      for await (const _ of list({}, { ...shown, sort: 'name' }));
      for await (const [first] of list({}, { ...shown, sort: 'integrations' }))
        expect(first).toMatchObject({ id: 'w-1', name: 'Workspace 1', integrations: 100 })
      expect(await match({ by: 'name', value: 'Workspace 7' }, 2)).toMatchObject([{ id: 'w-7', integrations: 100 }])
    })
    expect(counting.length).toBe(3)
    for (const plan of counting) expect(plan).not.toMatch(/CORRELATED|SubPlan/)
    for (const statement of ['VACUUM', 'ANALYZE']) {
      await db.query(statement)
      const holders = await plansOf(db, async (db, dialect) => {
        const { holders } = holderReader(db, dialect)
        expect((await holders('webhookSecret', 'slack', 101)).length).toBe(101)
        expect(await holders('webhookSecret', 'pylon', 101)).toEqual([])
      })
      const walks = holders.filter((plan) => /field_fingerprint_idx|known/.test(plan))
      for (const plan of walks)
        expect(plan).toMatch(
          kind === 'sqlite'
            ? /integration_secrets_field_fingerprint_idx \((\(field,fingerprint\)>\(\?,\?\) AND field<\?|field=\? AND fingerprint=\?)\)/
            : /integration_secrets_field_fingerprint_idx/,
        )
      // The rest is walked through in parts, where the first has not found enough.
      const others = holders.filter((plan) => !/field_fingerprint_idx|known/.test(plan))
      expect([walks.length > 0, others.length > 0]).toEqual([true, true])
      for (const plan of others) {
        if (kind === 'sqlite')
          expect(plan).toMatch(
            /integration(s|_secrets) USING INTEGER PRIMARY KEY|SCAN integration(s|_secrets)$|SCAN t VIRTUAL TABLE/m,
          )
        expect(plan).not.toMatch(/HashAggregate|GroupAggregate|GROUP BY|ANY\(field\)/)
      }
    }
  })
})

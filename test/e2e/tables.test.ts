import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { runInTerminal } from '../support/program.ts'

const workspaces = [
  'Acme Rocket & Sons',
  'Cyberdyne Systems',
  'Globex Corporation',
  'Hooli',
  'Initech',
  'Pied Piper',
  'Soylent Foods',
  'Stark Logistics',
  'Tyrell Corporation',
  'Umbrella Health',
  'Vandelay Industries',
  'Wayne Enterprises',
  'Wonka Confectionery',
  'Östra Sjukhuset',
  'サポート株式会社',
]
const names = [
  'billing-escalations',
  'security-reports',
  'incident-alerts',
  'repo-sync',
  'support',
  'customer-escalations-emea',
  'customer-escalations-apac',
  'release-announcements',
]
const platforms = ['slack', 'github', 'pylon'] as const

/** An id that is the same in each run. */
const idOf = (text: string) =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')

/** So many days from now, and an hour: the words for it are the same for a while. */
const at = (days: number) =>
  new Date(Date.now() + (days * 24 + Math.sign(days)) * 3_600_000).toISOString().replace('Z', '+00:00')

/** Sixty integrations in fifteen workspaces, some of them of the same name on two platforms. */
async function populate(db: TestDatabase): Promise<void> {
  for (const workspace of workspaces)
    await db.query(
      'INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)',
      idOf(workspace),
      workspace,
      at(-90),
      at(-90),
    )
  for (let i = 0; i < 60; i++) {
    const workspace = workspaces[i % 15] ?? ''
    const name = names[i % 7 === 0 ? 5 + (i % 3) : Math.floor(i / 2) % 8] ?? ''
    const platform = platforms[Math.floor(i / 15) % 3] ?? ''
    await db.query(
      'INSERT INTO integrations (id, workspace_id, platform, name, is_active, last_used_at, token_expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      idOf(`${i}`),
      idOf(workspace),
      platform,
      name,
      i % 9 !== 4,
      i % 4 === 0 ? null : at(-i),
      i % 3 === 0 ? at(i - 20) : null,
      at(-80),
    )
  }
}

const wide = `WORKSPACE          NAME                PLATFORM  ON   USED     EXPIRES  ID
Acme Roc…t & Sons  customer-…ons-apac  slack     yes  2mo ago  in 25d   811786ad
Acme Roc…t & Sons  customer-…ons-emea  slack     yes  never    20d ago  5feceb66
Acme Roc…t & Sons  release-a…ncements  pylon     yes  1mo ago  in 10d   624b60c5
Acme Roc…t & Sons  release-a…ncements  github    yes  15d ago  5d ago   e629fa65
Cyberdyne Systems  billing-e…alations  slack     yes  1d ago   unknown  6b86b273
Cyberdyne Systems  billing-e…alations  github    yes  never    unknown  b17ef6d1
Cyberdyne Systems  release-a…ncements  slack     yes  2mo ago  unknown  25fc0e70
Cyberdyne Systems  release-a…ncements  pylon     no   1mo ago  unknown  eb1e33e8
Globex C…poration  billing-e…alations  github    yes  17d ago  unknown  4523540f
Globex C…poration  billing-e…alations  pylon     yes  never    unknown  e29c9c18
Globex C…poration  release-a…ncements  slack     yes  2mo ago  unknown  31489056
Globex C…poration  security-reports    slack     yes  2d ago   unknown  d4735e3a
Hooli              billing-e…alations  slack     yes  never    in 28d   98010bd9
Hooli              billing-e…alations  pylon     yes  1mo ago  in 13d   c6f3ac57
Hooli              security-reports    slack     yes  3d ago   17d ago  4e074085
Hooli              security-reports    github    yes  18d ago  2d ago   4ec9599f
Initech            customer-…ons-apac  slack     no   2mo ago  unknown  0e17daca
Initech            incident-alerts     slack     no   never    unknown  4b227777
Initech            security-reports    pylon     yes  1mo ago  unknown  86e50149
Initech            security-reports    github    yes  19d ago  unknown  9400f1b2
Pied Piper         incident-alerts     slack     yes  5d ago   unknown  ef2d127d
Pied Piper         incident-alerts     github    yes  never    unknown  f5ca38f7
Pied Piper         release-a…ncements  pylon     yes  1mo ago  unknown  9f14025a
Pied Piper         security-reports    slack     yes  2mo ago  unknown  1a656259
Soylent Foods      customer-…ons-emea  github    yes  21d ago  in 1d    6f4b6612
Soylent Foods      incident-alerts     pylon     yes  never    in 16d   76a50887
Soylent Foods      repo-sync           slack     yes  6d ago   14d ago  e7f6c011
Soylent Foods      security-reports    slack     yes  2mo ago  in 1mo   031b4af5
Stark Logistics    customer-…ons-apac  slack     yes  7d ago   unknown  7902699b
Stark Logistics    incident-alerts     slack     yes  never    unknown  41cfc0d1
Stark Logistics    incident-alerts     pylon     yes  1mo ago  unknown  7a61b537
Stark Logistics    repo-sync           github    no   22d ago  unknown  785f3ec7
Tyrell C…poration  incident-alerts     slack     yes  2mo ago  unknown  2858dcd1
Tyrell C…poration  repo-sync           github    yes  23d ago  unknown  535fa30d
Tyrell C…poration  repo-sync           pylon     yes  1mo ago  unknown  aea92132
Tyrell C…poration  support             slack     yes  never    unknown  2c624232
Umbrella Health    repo-sync           pylon     yes  1mo ago  in 19d   0b918943
Umbrella Health    repo-sync           slack     yes  2mo ago  in 1mo   2fca346d
Umbrella Health    support             slack     yes  9d ago   11d ago  19581e27
Umbrella Health    support             github    yes  never    in 4d    c2356069
Vandelay…dustries  customer-…ons-emea  slack     yes  10d ago  unknown  4a44dc15
Vandelay…dustries  repo-sync           slack     yes  2mo ago  unknown  02d20bbd
Vandelay…dustries  support             github    yes  25d ago  unknown  b7a56873
Vandelay…dustries  support             pylon     no   never    unknown  d59eced1
Wayne Enterprises  customer-…ons-emea  slack     yes  11d ago  unknown  4fc82b26
Wayne Enterprises  customer-…ons-emea  github    yes  26d ago  unknown  5f9c4ab0
Wayne Enterprises  release-a…ncements  slack     yes  never    unknown  7688b6ef
Wayne Enterprises  support             pylon     yes  1mo ago  unknown  3d914f93
Wonka Co…ctionery  customer-…ons-apac  slack     yes  never    8d ago   6b51d431
Wonka Co…ctionery  customer-…ons-emea  github    yes  27d ago  in 7d    670671cd
Wonka Co…ctionery  customer-…ons-emea  pylon     yes  1mo ago  in 22d   73475cb4
Wonka Co…ctionery  support             slack     yes  2mo ago  in 1mo   c837649c
Östra Sjukhuset    customer-…ons-apac  slack     no   13d ago  unknown  3fdba35f
Östra Sjukhuset    customer-…ons-apac  github    yes  never    unknown  59e19706
Östra Sjukhuset    customer-…ons-emea  pylon     yes  1mo ago  unknown  44cb730c
Östra Sjukhuset    customer-…ons-emea  slack     no   2mo ago  unknown  6208ef0f
サポート株式会社   customer-…ons-apac  github    yes  29d ago  unknown  35135aaa
サポート株式会社   customer-…ons-apac  pylon     yes  never    unknown  71ee45a3
サポート株式会社   customer-…ons-emea  slack     yes  2mo ago  unknown  3e1e967e
サポート株式会社   release-a…ncements  slack     yes  14d ago  unknown  8527a891
`

const narrow = `WORKSPACE            NAME
Acme Rocket & Sons   customer-…ions-apac
Acme Rocket & Sons   customer-…ions-emea
Acme Rocket & Sons   release-a…uncements
Acme Rocket & Sons   release-a…uncements
Cyberdyne Systems    billing-escalations
Cyberdyne Systems    billing-escalations
Cyberdyne Systems    release-a…uncements
Cyberdyne Systems    release-a…uncements
Globex Corporation   billing-escalations
Globex Corporation   billing-escalations
Globex Corporation   release-a…uncements
Globex Corporation   security-reports
Hooli                billing-escalations
Hooli                billing-escalations
Hooli                security-reports
Hooli                security-reports
Initech              customer-…ions-apac
Initech              incident-alerts
Initech              security-reports
Initech              security-reports
Pied Piper           incident-alerts
Pied Piper           incident-alerts
Pied Piper           release-a…uncements
Pied Piper           security-reports
Soylent Foods        customer-…ions-emea
Soylent Foods        incident-alerts
Soylent Foods        repo-sync
Soylent Foods        security-reports
Stark Logistics      customer-…ions-apac
Stark Logistics      incident-alerts
Stark Logistics      incident-alerts
Stark Logistics      repo-sync
Tyrell Corporation   incident-alerts
Tyrell Corporation   repo-sync
Tyrell Corporation   repo-sync
Tyrell Corporation   support
Umbrella Health      repo-sync
Umbrella Health      repo-sync
Umbrella Health      support
Umbrella Health      support
Vandelay Industries  customer-…ions-emea
Vandelay Industries  repo-sync
Vandelay Industries  support
Vandelay Industries  support
Wayne Enterprises    customer-…ions-emea
Wayne Enterprises    customer-…ions-emea
Wayne Enterprises    release-a…uncements
Wayne Enterprises    support
Wonka Confectionery  customer-…ions-apac
Wonka Confectionery  customer-…ions-emea
Wonka Confectionery  customer-…ions-emea
Wonka Confectionery  support
Östra Sjukhuset      customer-…ions-apac
Östra Sjukhuset      customer-…ions-apac
Östra Sjukhuset      customer-…ions-emea
Östra Sjukhuset      customer-…ions-emea
サポート株式会社     customer-…ions-apac
サポート株式会社     customer-…ions-apac
サポート株式会社     customer-…ions-emea
サポート株式会社     release-a…uncements
no room in 40 columns for platform, isActive, lastUsedAt, tokenExpiresAt, id
`

const events80 = `SEQ  WHEN    ACTION                    TARGET               WHO
105  3d ago  platform.check (failed)   Acme Rock…calations  os:ana@laptop
104  3d ago  platform.check (started)  Vandelay …y-reports  os:ana@laptop
103  3d ago  secret.rotate             Acme Rock…calations  github:ana:123456789
102  3d ago  secret.reveal             Vandelay …y-reports  os:ana@laptop as ana
101  3d ago  integration.add           Acme Rock…calations  os:ana@lap…s support
`

const events40 = `ACTION                    TARGET
platform.check (failed)   Acme Ro…ations
platform.check (started)  Vandela…eports
secret.rotate             Acme Ro…ations
secret.reveal             Vandela…eports
integration.add           Acme Ro…ations
no room in 40 columns for seq, at, who
`

describe.each(kinds)('sixty integrations on %s', (kind) => {
  test('are sixty lines that are told apart at 80 columns, and sixty lines at 40', async () => {
    const db = await freshDatabase(kind)
    await populate(db)
    const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
    const screen = async (columns: number, ...args: string[]) =>
      (await runInTerminal(args, [], { env, columns })).screen.replaceAll('\r\n', '\n')
    expect(await screen(80, 'list')).toBe(wide)
    expect(await screen(40, 'list')).toBe(narrow)
    const [, ...rows] = wide.trimEnd().split('\n')
    expect(new Set(rows.map((row) => row.replace(/ (yes|no) .*/, ''))).size).toBe(60)

    // What is shown of an id stands for it.
    const first = '811786ad'
    expect(await screen(80, 'list', '--limit', '2', '--cursor', first, '--fields', 'id,createdAt')).toBe(
      `ID        CREATED
5feceb66  3 months ago
624b60c5  3 months ago
57 more: add --all, or --cursor ${idOf('30')}
`,
    )
    expect(await screen(80, 'show', first, '--utc', '--fields', 'name,tokenExpiresAt')).toMatch(
      /^NAME {5}customer-escalations-apac\nEXPIRES {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n$/,
    )
    const workspace = idOf('Hooli').slice(0, 8)
    expect(await screen(80, 'workspaces', 'list', '--name', 'Hooli')).toBe(
      `NAME   INTEGRATIONS  CREATED       ID\nHooli  4             3 months ago  ${workspace}\n`,
    )
    expect(
      (await runInProcess(['list', '--workspace', workspace, '-o', 'id'], { env })).stdout.split('\n').length,
    ).toBe(5)
  })

  test('are in columns where a name has emoji of several, and a name with invisible characters has escapes', async () => {
    const db = await freshDatabase(kind)
    const team = '👩\u200d💻 Team'
    for (const name of [team, 'a\u202eb'])
      await db.query(
        'INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)',
        idOf(name),
        name,
        at(-90),
        at(-90),
      )
    const { screen } = await runInTerminal(['workspaces', 'list', '--fields', 'name,createdAt'], [], {
      env: { DATABASE_URL: db.url, NO_COLOR: '1' },
      columns: 80,
    })
    expect(screen.replaceAll('\r\n', '\n')).toBe(
      `NAME        CREATED\na\\u{202e}b  3 months ago\n${team}     3 months ago\n`,
    )
  })

  test('leave the action of an event whole, and what it ended with', async () => {
    const db = await freshDatabase(kind)
    const events = [
      ['integration.add', 'done', 'os:ana@laptop', 'support'],
      ['secret.reveal', 'done', 'os:ana@laptop', 'ana'],
      ['secret.rotate', 'done', 'github:ana:123456789', null],
      ['platform.check', 'started', 'os:ana@laptop', null],
      ['platform.check', 'failed', 'os:ana@laptop', null],
    ] as const
    for (const [i, [action, outcome, ci, as]] of events.entries())
      await db.query(
        `INSERT INTO integration_events (seq, at, request_id, action, outcome, target_type, target_id, target_name, ci_identity, os_user, host, pid, declared_as, program_version, format, previous_hash, hash)
        VALUES (?, ?, 'r', ?, ?, 'integration', 'i', ?, ?, 'ana', 'laptop', 1, ?, '0', 2, '0', '0')`,
        i + 101,
        at(-3),
        action,
        outcome,
        i % 2 === 0 ? 'Acme Rocket & Sons/billing-escalations' : 'Vandelay Industries/security-reports',
        ci,
        as,
      )
    const env = { DATABASE_URL: db.url, NO_COLOR: '1' }
    const screen = async (columns: number) =>
      (await runInTerminal(['audit', 'list', '--until', '1d'], [], { env, columns })).screen.replaceAll('\r\n', '\n')
    expect([await screen(80), await screen(40)]).toEqual([events80, events40])
  })
})

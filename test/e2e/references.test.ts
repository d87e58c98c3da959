import { beforeAll, describe, expect, test } from 'vitest'
import { application, database, rows } from '../support/application.ts'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { signingSecret } from '../support/samples.ts'
import { failed } from '../support/told.ts'

describe.each(kinds)('references on %s', (kind) => {
  let env: Record<string, string>
  const ids = new Map<string, string>()

  const run = (args: readonly string[], input = '') => runInProcess(args, { env, input })
  const shown = async (ref: string) => {
    const { code, stdout } = await run(['show', ref, '-o', 'id'])
    return code === 0 ? stdout.trim() : code
  }

  beforeAll(async () => {
    const db = await freshDatabase(kind)
    env = { DATABASE_URL: db.url }
    for (const [workspace, platform, name, n] of [
      ['Acme', 'slack', 'support', 1],
      ['Acme', 'pylon', 'support', 2],
      ['Beta Labs', 'slack', 'support', 1],
      // A name in other case does not stand in the way of this one.
      ['Acme', 'pylon', 'Support', 5],
      ['Beta Labs', 'pylon', 'desk', 3],
      ['Beta Labs', 'pylon', 'desk@slack', 4],
    ] as const) {
      const add = ['add', '--platform', platform, '--new-workspace', workspace, '--name', name, '-o', 'id']
      const added = await run([...add, '--webhook-secret-stdin'], signingSecret(n))
      expect(added).toMatchObject({ code: 0 })
      ids.set(`${workspace}/${name}@${platform}`, added.stdout.trim())
    }
    await run(['users', 'add', 'Ana@Example.com'])
  })

  test('a platform tells two of a name apart; a name that ends so goes first', async () => {
    expect(await shown('Acme/support')).toBe(2)
    expect(await shown('Acme/support@slack')).toBe(ids.get('Acme/support@slack'))
    expect(await shown('Acme/support@Pylon')).toBe(ids.get('Acme/support@pylon'))
    expect(await shown('support@pylon')).toBe(ids.get('Acme/support@pylon'))
    expect(await shown('desk@slack')).toBe(ids.get('Beta Labs/desk@slack@pylon'))
    expect(await shown('desk@pylon')).toBe(ids.get('Beta Labs/desk@pylon'))
    expect(await shown('Acme/support@github')).toBe(3)
  })

  test('what is ambiguous is told with names that can be pasted, and as data', async () => {
    expect(await run(['show', 'Acme/support'])).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: several integrations are named "Acme\/support"\nhint: use one of: (Acme\/support@\w+, Acme\/support@\w+)\n$/,
      ),
    })
    const { code, stdout, stderr } = await run(['show', 'support', '-o', 'json'])
    const candidates = [
      ['Acme', 'slack'],
      ['Acme', 'pylon'],
      ['Beta Labs', 'slack'],
    ].map(([workspace = '', platform = '']) => ({
      id: ids.get(`${workspace}/support@${platform}`) ?? '',
      name: 'support',
      workspace,
      platform,
    }))
    const inOrder = candidates.toSorted((a, b) => (a.workspace + a.id < b.workspace + b.id ? -1 : 1))
    const refs = inOrder.map(({ workspace, platform }) =>
      workspace === 'Acme' ? `Acme/support@${platform}` : `'Beta Labs/support'`,
    )
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: failed({
        code: 'AMBIGUOUS',
        message: 'several integrations are named "support"',
        hint: `use one of: ${refs.join(', ')}`,
        exit: 2,
        retryable: false,
        committed: false,
        candidates: inOrder,
      }),
    })
  })

  test('case is forgiven where it leaves one', async () => {
    expect(await shown('ACME/Support@slack')).toBe(ids.get('Acme/support@slack'))
    expect(await shown('beta labs/DESK')).toBe(ids.get('Beta Labs/desk@pylon'))
    expect(await shown('ACME/support')).toBe(2)
    const list = async (...args: string[]) => (await run(['list', '--fields', 'name', ...args])).stdout
    expect(await list('--platform', 'Slack', '--workspace', 'ACME')).toBe('support\n')
    expect(await list('--created-by', 'ana@example.com')).toBe('')
    await run(['workspaces', 'add', 'ACME'])
    expect(await list('--platform', 'slack', '--workspace', 'ACME')).toBe('')
    expect(await list('--platform', 'slack', '--workspace', 'Acme')).toBe('support\n')
    expect(await run(['list', '--workspace', 'aCME'])).toMatchObject({ code: 2, stdout: '' })
    expect(await run(['list', '--platform', 'Slak'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('the whole name, and the value of a secret', async () => {
    const names = async (...args: string[]) => {
      const { code, stdout, stderr } = await run(
        ['list', '--fields', 'workspace,name,platform', ...args],
        signingSecret(1),
      )
      return { code, stdout, stderr }
    }
    expect(await names('--exact-name', 'desk')).toEqual({ code: 0, stdout: 'Beta Labs\tdesk\tpylon\n', stderr: '' })
    const both = 'Acme\tsupport\tslack\nBeta Labs\tsupport\tslack\n'
    expect(await names('--secret-stdin')).toEqual({ code: 0, stdout: both, stderr: '' })
    const { webhookSecret } = JSON.parse((await run(['show', 'Acme/support@slack', '-o', 'json'])).stdout)
    expect(await names('--fingerprint', webhookSecret.fingerprint)).toEqual({ code: 0, stdout: both, stderr: '' })
    expect(await names('--fingerprint', '0'.repeat(16))).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await names('--fingerprint', 'x')).toMatchObject({ code: 2, stdout: '' })
    expect(await names('--secret-stdin', '--fingerprint', '0'.repeat(16))).toMatchObject({ code: 2, stdout: '' })
  })
})

describe.each(kinds)('ids that begin with - on %s', (kind) => {
  const id = '-RFa-VaY2b_6KKrd'
  const workspace = '-1StGXR8_Z5jdHi6B-myT'
  let db: TestDatabase
  let env: Record<string, string>
  const run = (args: readonly string[], input = '') => runInProcess(args, { env, input })
  /** Types a hint as it stands. */
  const type = (line: string, input = '') => run(line.replace(/^integrations /, '').split(' '), input)
  const mistaken = (word: string, hint: string, what = 'an integration') => ({
    code: 2,
    stdout: '',
    stderr: `error: "${word}" names ${what}, and was taken for an option\nhint: ${hint}\n`,
  })

  beforeAll(async () => {
    const data = rows.replaceAll('IRFa-VaY2b_6KKrd', id).replaceAll('V1StGXR8_Z5jdHi6B-myT', workspace)
    db = await database(kind, application[kind], data)
    env = { DATABASE_URL: db.url }
    expect(await run(['db', 'adopt'])).toMatchObject({ code: 0 })
  })

  test('are told from options, with what to type', async () => {
    expect(await run(['show', id])).toEqual(mistaken(id, `integrations show -- ${id}`))
    expect(await run(['show', '-RFa-V', '-o', 'csv'])).toEqual(
      mistaken('-RFa-V', 'integrations show [options] -- -RFa-V'),
    )
    expect(await run(['secrets', 'list', id])).toEqual(mistaken(id, `integrations secrets list -- ${id}`))
    expect(await run(['secrets', 'reveal', id, 'webhook-secret'])).toEqual(
      mistaken(id, `integrations secrets reveal -- ${id} <field>`),
    )
    expect(await run(['exec', id, '--', 'true'])).toEqual({
      ...mistaken(id, `integrations exec -- ${id} -- <command>`),
      code: 125,
    })
    expect(await run(['check', id])).toEqual(mistaken(id, `integrations check -- ${id}`))
    expect(await run(['workspaces', 'show', '-1StGX'])).toEqual(
      mistaken('-1StGX', 'integrations workspaces show -- -1StGX', 'a workspace'),
    )
    for (const args of [
      ['show', '--', id],
      ['show', '-o', 'json', '--', '-RFa-V'],
      ['exec', '--', id, '--', 'true'],
    ])
      expect(await run(args), args.join(' ')).toMatchObject({ code: 0 })
  })

  test('are behind -- in what is to be typed', async () => {
    const rotated = await run(['rotate', '--webhook-secret-stdin', '--grace', '1h', '--', id], 'new-webhook-secret')
    expect(rotated).toMatchObject({ code: 0 })
    const [, ...next] = rotated.stderr
      .trimEnd()
      .split('next: ')
      .flatMap((part) => part.split(/\n */))
    expect(next.slice(-3)).toEqual([
      `integrations secrets list -- ${id}`,
      `integrations secrets finish -- ${id} webhook-secret`,
      `integrations secrets revert -- ${id} webhook-secret`,
    ])
    for (const line of [next.at(-3) ?? '', next.at(-1) ?? '']) expect(await type(line), line).toMatchObject({ code: 0 })
    await db.query('UPDATE integrations SET access_token = NULL')
    expect((await run(['secrets', 'reveal', '--', id, 'access-token'])).stderr).toMatch(
      new RegExp(`^error: .*\nhint: integrations rotate --field access-token -- ${id}\n$`),
    )
  })
})

describe('a word that is no option', () => {
  const run = (...args: string[]) => runInProcess(args)

  test('may be an id, where no database tells', async () => {
    const hint = 'an id that begins with - goes behind --'
    for (const [args, error] of [
      [['show', '-S1tGXR8_Z5jdHi6B-myT'], `unknown option '-S'\nhint: ${hint}, as in integrations show -- <ref>`],
      [
        ['show', '-dS1tGXR8_Z5jdHi6B'],
        `missing required argument 'ref'\nhint: ${hint}, as in integrations show -- <ref>`,
      ],
      [['show', '-oS1tGXR8_Z5jdHi6B'], `option '-o, --output <format>' does not take that value\nhint: ${hint}`],
      [['show', '--plattform'], `unknown option '--plattform'\nhint: integrations show --help`],
    ] as const)
      expect(await run(...args), args.join(' ')).toEqual({ code: 2, stdout: '', stderr: `error: ${error}\n` })
  })
})

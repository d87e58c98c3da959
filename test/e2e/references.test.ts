import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, kinds } from '../support/database.ts'
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

test('an id that begins with - is told from an option', async () => {
  expect(await runInProcess(['show', '-S1tGXR8_Z5jdHi6B-myT'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      "error: unknown option '-S'\nhint: an id that begins with - goes behind --, as in integrations show -- <ref>\n",
  })
})

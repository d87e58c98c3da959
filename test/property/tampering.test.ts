import fc from 'fast-check'
import { expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { signingSecret } from '../support/samples.ts'

/** The integrations and workspaces of a sequence, which it may change by this program and behind its back. */
const places = ['one', 'two', 'three'] as const

/** What this program does, with the columns that it writes. */
const commands = [
  { words: 'disable', columns: ['is_active'] },
  { words: 'enable', columns: ['is_active'] },
  { words: 'update', more: '--slack-team-name', columns: ['slack_team_name'] },
  { words: 'config set', more: 'slackEvents=["message"]', columns: ['config'] },
  { words: 'rotate', more: '--webhook-secret-stdin --grace 24h --end-previous', columns: [] },
  { words: 'secrets finish', more: 'webhook-secret --force', columns: [] },
] as const

/** Columns that a writer without keys changes. */
const columns = ['slack_team_name', 'slack_bot_user_id', 'pylon_account_id', 'workspace_id', 'config'] as const

const step = fc.oneof(
  fc.record({ kind: fc.constant('command'), command: fc.nat(commands.length - 1), at: fc.constantFrom(...places) }),
  fc.record({ kind: fc.constant('tamper'), column: fc.constantFrom(...columns), at: fc.constantFrom(...places) }),
  fc.record({ kind: fc.constant('insert') }),
  fc.record({ kind: fc.constant('remove'), at: fc.constantFrom(...places) }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** Runs the steps, and gives what must be named: columns by the name of the integration, or a word for the whole row. */
async function follow(db: TestDatabase, steps: readonly Step[]): Promise<Map<string, Set<string>>> {
  const run = (words: string, input = '') => runInProcess(words.split(' '), { env: { DATABASE_URL: db.url }, input })
  const left = new Map<string, Set<string>>()
  const gone = new Set<string>()
  let n = 10
  for (const one of steps) {
    n++
    if (one.kind === 'insert') {
      await db.query(
        `INSERT INTO integrations (id, workspace_id, platform, name) SELECT 'x${n}', id, 'slack', 'x${n}' FROM workspaces WHERE name = 'Acme'`,
      )
      // A change of it makes it none of this program's.
      await run(`disable x${n}`)
      left.set(`x${n}`, new Set(['no event added the row']))
      continue
    }
    if (!('at' in one) || gone.has(one.at)) continue
    const known = left.get(one.at) ?? new Set()
    if (one.kind === 'remove') {
      await db.query('DELETE FROM integrations WHERE name = ?', one.at)
      gone.add(one.at)
      left.set(one.at, new Set(['the row was removed without an event']))
    } else if ('column' in one) {
      const value =
        one.column === 'workspace_id'
          ? "(SELECT id FROM workspaces WHERE name = 'Globex')"
          : one.column === 'config'
            ? `'{"n":${n}}'`
            : `'t${n}'`
      await db.query(`UPDATE integrations SET ${one.column} = ${value} WHERE name = ?`, one.at)
      left.set(one.at, known.add(one.column))
    } else if ('command' in one) {
      const command = commands[one.command]
      if (!command) continue
      const { version: before } =
        (
          await db.query(
            `SELECT v.version FROM integration_versions v JOIN integrations i ON i.id = v.integration_id WHERE i.name = '${one.at}'`,
          )
        )[0] ?? {}
      const more = 'more' in command ? ` ${command.more}${command.words === 'update' ? ` c${n}` : ''}` : ''
      await run(`${command.words} ${one.at}${more}`, signingSecret(n))
      const { version: after } =
        (
          await db.query(
            `SELECT v.version FROM integration_versions v JOIN integrations i ON i.id = v.integration_id WHERE i.name = '${one.at}'`,
          )
        )[0] ?? {}
      if (before !== after) for (const column of command.columns) known.delete(column)
      if (known.size === 0) left.delete(one.at)
    }
  }
  return left
}

test.each(kinds)(
  'whatever is changed by this program and behind its back, on %s, verify names exactly the latter',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 12 }), async (steps) => {
        const db = await freshDatabase(kind)
        const run = (words: string, input = '') =>
          runInProcess(words.split(' '), { env: { DATABASE_URL: db.url }, input })
        await run('workspaces add Globex')
        await run('workspaces add Acme')
        for (const [i, name] of places.entries())
          await run(`add --platform slack --workspace Acme --name ${name} --webhook-secret-stdin`, signingSecret(i))
        const expected = await follow(db, steps)
        const { stdout } = await run('audit verify -o json')
        const { problems } = JSON.parse(stdout) as {
          problems: { name: string; columns: string[]; problem: string }[]
        }
        const named = problems.map(
          ({ name, columns, problem }) =>
            [name.split('/')[1], columns.length > 0 ? columns.toSorted() : [problem]] as const,
        )
        expect(new Map(named.toSorted())).toEqual(
          new Map([...expected].map(([name, what]) => [name, [...what].sort()] as const).sort()),
        )
      }),
      { numRuns: 6, interruptAfterTimeLimit: 60_000 },
    )
  },
)

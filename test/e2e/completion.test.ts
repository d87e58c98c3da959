import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freshDatabase, kinds, sqliteDatabase } from '../support/database.ts'
import { freshFolder, pathWithProgram, runCommand, runProgram } from '../support/program.ts'

/** What bash would put in place of the last word of a line; `compopt` lines tell what else it was told. */
async function complete(line: string, env: Record<string, string> = {}): Promise<string[]> {
  const script = `source <(integrations completion bash)
    complete -p integrations >/dev/null || exit 1
    compopt() { echo "compopt $*"; }
    COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:' COMP_LINE=$1 COMP_POINT=\${#1}
    _integrations
    for reply in "\${COMPREPLY[@]}"; do printf '%s\\n' "$reply"; done`
  const { code, stdout, stderr } = await runCommand('bash', ['--norc', '-c', script, 'bash', line], {
    env: { PATH: pathWithProgram(), ...env },
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout.split('\n').slice(0, -1)
}

describe.each(kinds)('completion in bash from %s', (kind) => {
  test('names and ids come from the database, quoted as the line needs it', async () => {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url }
    const evil = 'Evil $(touch pwned) `x` "q" \'s\' !! *'
    for (const [id, name] of [
      ['w1', 'Acme Inc'],
      ['w2', evil],
      ['w3', 'Terminal\u001b[31m'],
    ] as const)
      await db.query(
        'INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)',
        id,
        name,
      )
    await db.query(
      "INSERT INTO users (id, email, created_at, updated_at) VALUES ('u1', 'ana@example.com', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
    )
    for (const [id, workspace, name] of [
      ['id-one', 'w1', 'support'],
      ['id-two', 'w1', 'sales'],
      ['id-three', 'w2', 'x'],
      ['id-four', 'w3', 'red'],
    ] as const)
      await db.query(
        "INSERT INTO integrations (id, workspace_id, platform, name) VALUES (?, ?, 'slack', ?)",
        id,
        workspace,
        name,
      )

    expect(await complete('integrations show Acme', env)).toEqual(['Acme\\ Inc/sales', 'Acme\\ Inc/support'])
    expect(await complete('integrations show "Acme Inc/su', env)).toEqual(['Acme Inc/support'])
    expect(await complete('integrations rotate id-t', env)).toEqual(['id-two', 'id-three'])
    // A name alone, which only one has.
    expect(await complete('integrations rotate su', env)).toEqual(['support'])
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name) VALUES ('id-5', 'w2', 'slack', 'support')",
    )
    expect(await complete('integrations rotate su', env)).toEqual([])
    await db.query("DELETE FROM integrations WHERE id = 'id-5'")
    await db.query(
      "INSERT INTO integration_keys (id, purpose, state, check_value, created_at) VALUES ('enc-0', 'seal', 'decrypt-only', 'x', CURRENT_TIMESTAMP)",
    )
    expect(await complete('integrations keys activate ', env)).toEqual(['enc-0'])
    expect(await complete('integrations keys add ', env)).toEqual([])
    expect(await complete('integrations list --workspace=Ac', env)).toEqual(['Acme\\ Inc'])
    expect(await complete('integrations list --created-by a', env)).toEqual(['ana@example.com'])
    expect(await complete('integrations users remove ', env)).toEqual(['ana@example.com'])
    // What would act on a terminal goes by its id.
    expect(await complete('integrations show ', env)).toEqual([
      'Acme\\ Inc/sales',
      'Acme\\ Inc/support',
      expect.stringContaining('Evil'),
      'id-four',
    ])

    // Whatever the quoting, bash reads back the very name.
    for (const open of ['', '"', "'"]) {
      const [reply] = await complete(`integrations workspaces show ${open}Ev`, env)
      const { stdout } = await runCommand('bash', ['-c', `printf %s ${open}${reply}${open}`])
      expect(stdout).toBe(evil)
    }
  })
})

test('commands, flags and choices', async () => {
  expect(await complete('integrations re')).toEqual(['refresh', 'recover', 'report', 'remove'])
  expect(await complete('integrations workspaces re')).toEqual(['rename', 'remove'])
  expect(await complete('integrations -o json workspaces sh')).toEqual(['show'])
  expect(await complete('integrations remove --')).toEqual(
    expect.arrayContaining(['--confirm', '--dry-run', '--help', '--database', '--output']),
  )
  expect(await complete('integrations -o ')).toEqual(['table', 'json', 'jsonl', 'csv', 'id'])
  expect(await complete('integrations list --output=json')).toEqual(['json', 'jsonl'])
  expect(await complete('integrations add --platform ')).toEqual(['slack', 'pylon', 'github'])
  expect(await complete('integrations users list --sort ')).toEqual(['email', 'name', 'createdAt', 'id'])
  expect(await complete('integrations users list --sort=-')).toEqual(['-email', '-name', '-createdAt', '-id'])
  expect(await complete('integrations users list --sort=-n')).toEqual(['-name'])
  expect(await complete('integrations users list --fields id,')).toEqual(['id,email', 'id,name', 'id,createdAt'])
  expect(await complete('integrations help e')).toEqual(['enable', 'exec', 'exit-codes', 'environment'])
  const secrets = ['webhook-secret', 'access-token', 'refresh-token']
  expect(await complete('integrations secrets finish Acme/support ')).toEqual(secrets)
  expect(await complete('integrations exec Acme/support --field ')).toEqual(secrets)
  const readings = ['secret.reveal', 'secret.revert', 'secret.revoke']
  expect(await complete('integrations audit list --action secret.re')).toEqual(readings)
  expect(await complete('integrations audit list --action=tok')).toEqual(['token', 'token.recover', 'token.refresh'])
  expect(await complete('integrations list --finding token-expires-')).toEqual([
    'token-expires-1d',
    'token-expires-7d',
    'token-expires-30d',
    'token-expires-soon',
  ])
  expect(await complete('integrations check --finding use-')).toEqual([])
  expect(await complete('integrations report --finding use-')).toEqual(['use-not-recorded'])
  expect(await complete('integrations audit list --verdict ref')).toEqual(['refused'])
  expect(await complete('integrations audit list --field acc')).toEqual(['access-token'])
  expect(await complete('integrations completion ')).toEqual(['bash', 'zsh', 'fish'])
  expect(await complete('integrations add --access-token-file ')).toEqual(['compopt -o default'])
  expect(await complete('integrations config patch Acme/support ')).toEqual(['compopt -o default'])
  expect(await complete('integrations add --name ')).toEqual([])
  expect(await complete('integrations nonsense --nonsense ')).toEqual([])
  // Nothing of the line is run.
  const folder = freshFolder()
  expect(await complete(`integrations show $(touch ${folder}/pwned) \`touch ${folder}/pwned\` `)).toEqual([])
  expect(existsSync(join(folder, 'pwned'))).toBe(false)
})

test('a Tab makes no database, migrates none, and says nothing when there is none', async () => {
  const home = freshFolder()
  expect(await complete('integrations show ', { HOME: home })).toEqual([])
  expect(existsSync(join(home, '.local'))).toBe(false)
  const file = join(home, 'empty.db')
  writeFileSync(file, '')
  expect(await complete(`integrations --database file:${file} show `)).toEqual([])
  expect(await sqliteDatabase(file).query('SELECT name FROM sqlite_master')).toEqual([])
  expect(await complete('integrations show ', { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' })).toEqual([])
  expect(await complete('integrations show ', { DATABASE_URL: 'nonsense' })).toEqual([])
})

test('a Tab gives up on a server that does not answer', async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  const { port } = server.address() as { port: number }
  const started = performance.now()
  expect(await complete('integrations show ', { DATABASE_URL: `postgresql://nobody@127.0.0.1:${port}/none` })).toEqual(
    [],
  )
  expect(performance.now() - started).toBeLessThan(10_000)
  server.close()
})

test('zsh gets whole words with descriptions, fish reads the last one without its quotes', async () => {
  expect(await runProgram(['complete', 'zsh', '--', 'users', 're'])).toEqual({
    code: 0,
    stdout: 'remove\tRemove a user. Integrations they created stay, without a creator.\n',
    stderr: '',
  })
  expect(await runProgram(['complete', 'fish', '--', 'users', '"re'])).toEqual({
    code: 0,
    stdout: 'remove\tRemove a user. Integrations they created stay, without a creator.\n',
    stderr: '',
  })
})

const there = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0

test.each(['bash', 'zsh', 'fish'])('%s takes its script without a complaint', async (shell) => {
  const { code, stdout, stderr } = await runProgram(['completion', shell])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`integrations complete ${shell} -- `)
  if (!there(shell)) return
  const script = join(freshFolder(), 'script')
  writeFileSync(script, stdout)
  expect(await runCommand(shell, ['-n', script])).toEqual({ code: 0, stdout: '', stderr: '' })
})

test.runIf(there('fish'))('fish offers what the script says', async () => {
  const script = `integrations completion fish | source; complete --do-complete 'integrations workspaces re'`
  const { stdout } = await runCommand('fish', ['--no-config', '-c', script], { env: { PATH: pathWithProgram() } })
  expect(stdout).toBe(
    'remove\tRemove a workspace and every integration in it. Nothing is kept.\nrename\tGive a workspace another name.\n',
  )
})

test.runIf(there('zsh'))('zsh registers its function', async () => {
  const script = 'autoload -U compinit; compinit -D; eval "$(integrations completion zsh)"; print $_comps[integrations]'
  expect(await runCommand('zsh', ['-f', '-c', script], { env: { PATH: pathWithProgram() } })).toMatchObject({
    code: 0,
    stdout: '_integrations\n',
  })
})

test.runIf(there('zsh'))('zsh shows descriptions below each other, a line each', async () => {
  const script =
    'COLUMNS=40; eval "$(integrations completion zsh)"; compadd() { print -l $shown }; words=(integrations db ""); CURRENT=3; PREFIX=""; _integrations'
  const { stdout } = await runCommand('zsh', ['-f', '-c', `compdef() { }; ${script}`], {
    env: { PATH: pathWithProgram(), LANG: 'C.UTF-8' },
  })
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    'status   -- show the state and the con…',
    'migrate  -- bring the database up to d…',
    "adopt    -- take over an application's…",
    'index    -- show or make the indexes f…',
  ])
})

test('a shell without completion is a usage error', async () => {
  expect(await runProgram(['completion', 'tcsh'])).toMatchObject({ code: 2, stdout: '' })
})

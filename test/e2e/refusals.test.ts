import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, quote, type RunOptions, runCommand, runInTerminal } from '../support/program.ts'
import { botToken, signingSecret, stable } from '../support/samples.ts'

interface Refusal {
  what: string
  args: string[]
  options?: RunOptions
  code: number
  stderr: string | RegExp
}

const add = (...more: string[]) => ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'new', ...more]
const piped = (input: string): RunOptions => ({ input })
const rotate = (...more: string[]) => ['rotate', 'Acme/support', ...more]

const refusals: Refusal[] = [
  {
    what: 'an unknown platform',
    args: ['add', '--platform', 'salck', '--workspace', 'Acme', '--name', 'new'],
    code: 2,
    stderr: 'error: there is no platform "salck"\nhint: the platforms are slack, pylon, github\n',
  },
  {
    what: 'an empty piped secret',
    args: add('--webhook-secret-stdin'),
    options: piped(''),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-stdin) is empty\nhint: check that the command or variable before the pipe yields the secret\n',
  },
  {
    what: 'a blank piped secret',
    args: add('--webhook-secret-stdin'),
    options: piped('  \n'),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-stdin) is blank\nhint: check that the command or variable before the pipe yields the secret\n',
  },
  {
    what: 'a lone newline',
    args: add('--webhook-secret-stdin'),
    options: piped('\n'),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-stdin) is empty\nhint: check that the command or variable before the pipe yields the secret\n',
  },
  {
    what: 'a secret in two ways',
    args: add('--access-token-stdin', '--access-token-env', 'TOKEN'),
    options: { input: signingSecret(5), env: { TOKEN: botToken() } },
    code: 2,
    stderr:
      'error: access token is given in more than one way\nhint: keep one of --access-token-stdin, --access-token-file and --access-token-env\n',
  },
  {
    what: 'an unset variable',
    args: add('--access-token-env', 'NOT_SET'),
    code: 2,
    stderr:
      'error: the environment variable that --access-token-env names is not set\nhint: export it, or correct the name; the flag takes a name, not the secret\n',
  },
  {
    what: 'a variable that is empty',
    args: add('--access-token-env', 'EMPTY'),
    options: { env: { EMPTY: '' } },
    code: 2,
    stderr:
      'error: the variable that --access-token-env names is empty\nhint: check that the command or variable before the pipe yields the secret\n',
  },
  {
    what: 'a secret of two lines',
    args: rotate('--webhook-secret-stdin', '--grace', '0'),
    options: piped(`${signingSecret(8)}\n${signingSecret(9)}\n`),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-stdin) has several lines\nhint: pass the secret alone, on one line\n',
  },
  {
    what: 'two newlines after a secret',
    args: rotate('--webhook-secret-stdin', '--grace', '0'),
    options: piped(`${signingSecret(8)}\n\n`),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-stdin) has several lines\nhint: pass the secret alone, on one line\n',
  },
  {
    what: 'a placeholder',
    args: rotate('--webhook-secret-stdin', '--grace', '0'),
    options: piped('<signing secret>'),
    code: 2,
    stderr:
      'error: the Slack signing secret is in brackets\nhint: pass the value alone, as Slack shows it, or pass --force-shape to accept it as it is\n',
  },
  {
    what: 'a secret that is not UTF-8',
    args: rotate('--webhook-secret-stdin', '--grace', '0'),
    options: { input: Buffer.from([0x61, 0xff, 0x62]) },
    code: 2,
    stderr: 'error: standard input is not UTF-8 text\nhint: give the value as UTF-8\n',
  },
  {
    what: 'two secrets on standard input',
    args: rotate('--webhook-secret-stdin', '--access-token-stdin', '--grace', '0'),
    options: piped('x'),
    code: 2,
    stderr:
      'error: standard input can hold one secret only\nhint: give the others by --access-token-file or --access-token-env\n',
  },
  ...(['-stdin', '-file'] as const).map((way) => ({
    what: `a secret (--access-token${way}) and a config on standard input`,
    args: add(`--access-token${way}`, ...(way === '-file' ? ['-'] : []), '--config', '-', '--no-expiry'),
    options: piped(botToken()),
    code: 2,
    stderr: 'error: standard input cannot hold both a secret and the config\nhint: give the config as @file\n',
  })),
  {
    what: 'a blank secret in the file that is standard input',
    args: rotate('--webhook-secret-file', '-', '--grace', '0'),
    options: piped(' '),
    code: 2,
    stderr:
      'error: standard input (--webhook-secret-file) is blank\nhint: check that the command or variable before the pipe yields the secret\n',
  },
  {
    what: 'a secret file that is not there',
    args: rotate('--webhook-secret-file', '/nowhere/secret', '--grace', '0'),
    code: 2,
    stderr:
      'error: the file of --webhook-secret-file cannot be read (ENOENT)\nhint: check the path, and that the file is readable\n',
  },
  {
    what: 'a browser session token',
    args: add('--access-token-env', 'TOKEN'),
    options: { env: { TOKEN: ['xox', 'c-1-2-3'].join('') } },
    code: 2,
    stderr:
      'error: a Slack bot or user token should not be a browser session token (xoxc-, xoxd-)\nhint: pass the value alone, as Slack shows it, or pass --force-shape to accept it as it is\n',
  },
  {
    what: 'a generated Slack signing secret',
    args: rotate('--field', 'webhook-secret', '--generate', '--grace', '0'),
    code: 2,
    stderr:
      'error: only Slack can issue a new signing secret\nhint: get a new signing secret at https://api.slack.com/apps, and pass it with --webhook-secret-stdin\n',
  },
  {
    what: 'a rotation without --grace and without a terminal',
    args: rotate('--webhook-secret-stdin'),
    options: piped(signingSecret(8)),
    code: 2,
    stderr:
      'error: --grace is required: how long does the previous secret stay valid?\nhint: pass --grace 24h, or --grace 0 to expire the previous secret at once\n',
  },
  {
    what: 'a grace without a unit',
    args: rotate('--webhook-secret-stdin', '--grace', '24'),
    options: piped(signingSecret(8)),
    code: 2,
    stderr:
      "error: option '--grace <duration>' does not take that value\nhint: write a number with its unit, as in 90m, 24h or 7d\n",
  },
  {
    what: 'an expiry without a token',
    args: rotate('--webhook-secret-stdin', '--grace', '0', '--no-expiry'),
    options: piped(signingSecret(8)),
    code: 2,
    stderr: 'error: an expiry needs an access token\nhint: pass the access token too, as in --access-token-stdin\n',
  },
  {
    what: 'a secret of another platform',
    args: ['rotate', 'Acme/desk', '--refresh-token-stdin', '--grace', '0'],
    options: piped('pylon-1'),
    code: 2,
    stderr: 'error: Pylon has no refresh token\nhint: the secrets of Pylon are webhook-secret, access-token\n',
  },
  {
    what: 'a missing ref',
    args: ['show', 'Acme/nothing'],
    code: 3,
    stderr: 'error: there is no integration "Acme/nothing"\nhint: integrations list\n',
  },
  {
    what: 'a near-miss ref',
    args: ['show', 'Acme/suport'],
    code: 3,
    stderr: 'error: there is no integration "Acme/suport"\nhint: did you mean Acme/support? See integrations list\n',
  },
  {
    what: 'an ambiguous ref',
    args: ['toggle', 'desk'],
    code: 2,
    stderr: 'error: several integrations are named "desk"\nhint: use one of: Acme/desk, Beta/desk\n',
  },
  {
    what: 'a duplicate name',
    args: ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'support'],
    code: 5,
    stderr:
      'error: Acme already has a Slack integration named "support"\nhint: choose another --name, or pass --upsert to update the integration, or --if-missing to leave it as it is\n',
  },
  {
    what: 'a name taken by another',
    args: ['update', 'Acme/other', '--name', 'support'],
    code: 5,
    stderr: 'error: Acme already has a Slack integration named "support"\nhint: choose another --name\n',
  },
  {
    what: 'a workspace that is there',
    args: ['workspaces', 'add', 'Acme'],
    code: 5,
    stderr: 'error: workspace "Acme" already exists\nhint: integrations workspaces show Acme\n',
  },
  {
    what: 'config that is not JSON',
    args: add('--config', '{"slackEvents": [,]}'),
    code: 2,
    stderr:
      'error: --config, line 1, column 18: value expected\nhint: put keys and strings in double quotes, and no comma after the last item\n',
  },
  {
    what: 'config that breaks the schema',
    args: add('--config', '{"slackEvents": "message"}'),
    code: 2,
    stderr:
      'error: the config does not match the schema of Slack: slackEvents must be array\nhint: integrations config schema slack\n',
  },
  {
    what: 'an unknown field',
    args: ['list', '--fields', 'id,nmae'],
    code: 2,
    stderr: /^error: there is no field "nmae"\nhint: the fields are id, name, platform, .*refusedWebhooks\n$/,
  },
  {
    what: 'an unknown field of a change',
    args: ['toggle', 'Acme/support', '--fields', 'nmae'],
    code: 2,
    stderr: /^error: there is no field "nmae"\n/,
  },
  {
    what: 'an unknown flag',
    args: ['list', '--activ'],
    code: 2,
    stderr: "error: unknown option '--activ'\nhint: did you mean --active?\n",
  },
  {
    what: 'an unknown command',
    args: ['lst'],
    code: 2,
    stderr: "error: unknown command 'lst'\nhint: did you mean list?\n",
  },
  ...(
    [
      [['ls'], "unknown command 'ls'", 'integrations list'],
      [['workspaces', 'ls'], "unknown command 'ls'", 'integrations workspaces list'],
      [['rm', 'Acme/support'], "unknown command 'rm'", 'integrations remove --help'],
      [['version'], "unknown command 'version'", 'integrations --version'],
      [['delete', 'Acme/support'], "unknown command 'delete'", 'integrations remove --help'],
      [['get', 'Acme/support'], "unknown command 'get'", 'integrations show --help'],
      [['edit', 'Acme/support'], "unknown command 'edit'", 'integrations update --help'],
      [['status'], "unknown command 'status'", 'integrations db status'],
      [['keys', 'rm'], "unknown command 'rm'", 'integrations keys --help'],
      [['list', '--json'], "unknown option '--json'", 'pass -o json'],
      [['list', '--format', 'json'], "unknown option '--format'", 'pass -o with one of table, json, jsonl, csv, id'],
      [
        ['list', 'slack'],
        "too many arguments for 'list'. Expected 0 arguments but got 1.",
        'filter with options, as in integrations list --platform slack',
      ],
      [['help', 'env'], 'there is no help for "env"', 'integrations help environment'],
      [['help', 'exit'], 'there is no help for "exit"', 'integrations help exit-codes'],
      [['help', 'rotate', 'secrets'], 'there is no help for "rotate secrets"', 'integrations help rotate'],
      [['help', 'secrets', 'finsh'], 'there is no help for "secrets finsh"', 'integrations help secrets finish'],
    ] as const
  ).map(([args, message, hint]) => ({
    what: `what other programs call it: ${args.join(' ')}`,
    args: [...args],
    code: 2,
    stderr: `error: ${message}\nhint: ${hint}\n`,
  })),
  {
    what: 'a secret as an argument',
    args: ['rotate', 'Acme/support', '--webhook-secret', signingSecret(8)],
    code: 2,
    stderr:
      "error: unknown option '--webhook-secret'\nhint: no flag takes a secret, which others could read: pipe it in with -stdin, or use -file or -env\n",
  },
  {
    what: 'a secret joined to a flag',
    args: ['rotate', 'Acme/support', `--webhook-secret=${signingSecret(8)}`],
    code: 2,
    stderr:
      "error: unknown option '--webhook-secret'\nhint: no flag takes a secret, which others could read: pipe it in with -stdin, or use -file or -env\n",
  },
  {
    what: 'a value that an option does not take',
    args: ['rotate', 'Acme/support', '--field', signingSecret(8)],
    code: 2,
    stderr: /^error: option '--field <secret>' does not take that value\nhint: /,
  },
  {
    what: 'an unknown platform as a filter',
    args: ['list', '--platform', 'slak'],
    code: 2,
    stderr: 'error: there is no platform "slak"\nhint: the platforms are slack, pylon, github\n',
  },
  {
    what: 'an unknown sort',
    args: ['list', '--sort', 'age'],
    code: 2,
    stderr: /^error: option '--sort <field>' does not take that value\nhint: sort by workspace, /,
  },
  {
    what: 'a removal that nobody confirms',
    args: ['remove', 'Acme/support'],
    code: 2,
    stderr: 'error: --confirm is required when prompts are off or there is no terminal\nhint: pass --confirm support\n',
  },
  {
    what: 'a removal confirmed by another name',
    args: ['remove', 'Acme/support', '--confirm', 'other'],
    code: 2,
    stderr: 'error: --confirm is not "support"\nhint: pass --confirm support\n',
  },
  {
    what: 'a version that has moved on',
    args: ['toggle', 'Acme/support', '--if-version', '7'],
    code: 5,
    stderr:
      'error: Acme/support is at version 1, not 7\nhint: check what changed with integrations show <id>, and try again\n',
  },
  {
    what: 'an id of another shape',
    args: ['update', 'Acme/support', '--slack-team-id', 'x'],
    code: 2,
    stderr:
      'error: a Slack team or enterprise id should start with T or E, as in T012AB3CD\nhint: correct the value, or pass --force-shape to accept it\n',
  },
  {
    what: "another platform's id",
    args: ['update', 'Acme/support', '--pylon-account-id', 'x'],
    code: 2,
    stderr:
      'error: Slack has no pylon account id\nhint: Slack has --slack-team-id, --slack-team-name, --slack-bot-user-id\n',
  },
  {
    what: 'nothing to change',
    args: ['update', 'Acme/support'],
    code: 2,
    stderr:
      'error: there is nothing to change\nhint: pass --name, --created-by, --app, --owner, --tag, --note, --unset or an id; see integrations update --help\n',
  },
  {
    what: 'a missing workspace',
    args: ['add', '--platform', 'slack', '--workspace', 'Nowhere', '--name', 'new'],
    code: 3,
    stderr: 'error: there is no workspace "Nowhere"\nhint: integrations workspaces list\n',
  },
  {
    what: 'nothing that rotate needs, and no terminal',
    args: rotate(),
    code: 2,
    stderr:
      'error: --webhook-secret-stdin and --grace are required when prompts are off or there is no terminal\nhint: pass --webhook-secret-stdin or another secret and --grace <duration>\n',
  },
  {
    what: 'an app without all that it needs, and no terminal',
    args: ['apps', 'add', 'bot'],
    code: 2,
    stderr:
      'error: --platform, --client-id and --client-secret-stdin are required when prompts are off or there is no terminal\nhint: pass --platform <platform>, --client-id <id> and --client-secret-stdin, -file or -env\n',
  },
  {
    what: 'no workspace and no terminal',
    args: ['add', '--platform', 'slack', '--name', 'new'],
    code: 2,
    stderr:
      'error: --workspace is required when prompts are off or there is no terminal\nhint: pass --workspace <workspace>\n',
  },
  {
    what: 'a missing creator',
    args: add('--created-by', 'nobody@example.com'),
    code: 3,
    stderr: 'error: there is no user "nobody@example.com"\nhint: integrations users list\n',
  },
  {
    what: 'a cursor that is gone',
    args: ['list', '--cursor', 'gone', '--limit', '5'],
    code: 3,
    stderr: 'error: the row that --cursor names is not there any more\nhint: start again without --cursor\n',
  },
  {
    what: 'a database URL with a password in the arguments',
    args: ['list', '--database', `postgresql://user:${signingSecret(5)}@127.0.0.1/db`],
    code: 2,
    stderr:
      'error: the --database URL holds a password, which other users of this machine can read\nhint: put the URL into DATABASE_URL, or the password into a password file (PGPASSFILE)\n',
  },
  {
    what: 'a database that is no URL',
    args: ['list', '--database', './x.db'],
    code: 2,
    stderr: 'error: a path is not a database URL\nhint: write file:/absolute/path or file:relative/path\n',
  },
  {
    what: 'a mistyped file',
    args: ['list', '--database', 'file:/nowhere/x.db'],
    code: 6,
    stderr: 'error: there is no file /nowhere/x.db\nhint: integrations init --database file:/nowhere/x.db\n',
  },
  {
    what: 'a database that is down',
    args: ['list', '--database', 'postgresql://user@127.0.0.1:1/db'],
    code: 6,
    stderr:
      'error: postgresql://user@127.0.0.1:1/db cannot be reached\nhint: check that the server runs and that DATABASE_URL or --database names it\n',
  },
]

describe.each(kinds)('refused on %s', (kind) => {
  const run = runInProcess

  let db: TestDatabase
  let env: Record<string, string>

  beforeAll(async () => {
    db = await freshDatabase(kind)
    env = { DATABASE_URL: db.url }
    const prepare = async (args: string[], input = '') =>
      expect(await runInProcess(args, { env: { ...env, TOKEN: botToken() }, input })).toMatchObject({ code: 0 })
    await prepare(['workspaces', 'add', 'Acme'])
    await prepare(['workspaces', 'add', 'Beta'])
    await prepare(
      [
        'add',
        '--platform',
        'slack',
        '--workspace',
        'Acme',
        '--name',
        'support',
        '--webhook-secret-stdin',
        '--access-token-env',
        'TOKEN',
      ],
      signingSecret(),
    )
    await prepare(['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'other'])
    await prepare(['add', '--platform', 'pylon', '--workspace', 'Acme', '--name', 'desk'])
    await prepare(['add', '--platform', 'pylon', '--workspace', 'Beta', '--name', 'desk'])
  })

  /** All there is, the head row included: a change that was rolled back has not moved it either. */
  const everything = async () =>
    JSON.stringify(
      await Promise.all(
        [
          'workspaces',
          'users',
          'integrations',
          'integration_versions',
          'integration_secrets',
          'integration_settings',
        ].map((table) => db.query(`SELECT * FROM ${table} ORDER BY 1, 2, 3`)),
      ),
      (_, value) => (typeof value === 'bigint' ? Number(value) : value),
    )

  test.each(refusals)('$what', async ({ args, options = {}, code, stderr }) => {
    const before = await everything()
    const outcome = await runInProcess(args, { ...options, env: { ...env, ...options.env } })
    expect({ ...outcome, stderr: stable(outcome.stderr) }).toEqual({
      code,
      stdout: '',
      stderr: typeof stderr === 'string' ? stderr : expect.stringMatching(stderr),
    })
    expect(await everything()).toBe(before)
    // What was piped in or named is told nowhere.
    for (const n of [5, 8, 9]) expect(outcome.stderr).not.toContain(signingSecret(n))
  })

  test('as JSON for scripts', async () => {
    const { code, stdout, stderr } = await run(['show', 'Acme/nothing', '-o', 'json'], { env })
    expect({ code, stdout, stderr: JSON.parse(stderr) }).toEqual({
      code: 3,
      stdout: '',
      stderr: {
        level: 'error',
        error: {
          code: 'NOT_FOUND',
          message: 'there is no integration "Acme/nothing"',
          hint: 'integrations list',
          exit: 3,
          retryable: false,
          committed: false,
        },
      },
    })
  })

  test('a usage error as JSON', async () => {
    const { code, stdout, stderr } = await run(['list', '--limit', '0', '-o', 'json'], { env })
    expect({ code, stdout, stderr: JSON.parse(stderr) }).toEqual({
      code: 2,
      stdout: '',
      stderr: {
        level: 'error',
        error: {
          code: 'BAD_INPUT',
          message: "option '--limit <number>' does not take that value",
          hint: 'write a whole number from 1 up',
          exit: 2,
          retryable: false,
          committed: false,
        },
      },
    })
  })

  test('Ctrl-C at a prompt', async () => {
    const before = await everything()
    const { code, screen } = await runInTerminal(
      ['rotate', 'Acme/support', '--field', 'webhook-secret'],
      [['signing secret', '\u0003']],
      { env },
    )
    expect(code).toBe(130)
    expect(screen).toContain('error: cancelled; nothing was changed')
    expect(await everything()).toBe(before)
  })

  test('an output that cannot be written', async () => {
    expect(
      await runCommand('sh', ['-c', `exec ${quote(process.execPath)} ${quote(bin)} list > /dev/full`], { env }),
    ).toEqual({
      code: 6,
      stdout: '',
      stderr:
        'error: the output could not be written\nhint: check that the disk has space, and run the command again\n',
    })
  })

  test('a change whose answer cannot be written says that it was made', async () => {
    const { version } = JSON.parse((await run(['show', 'Acme/other', '-o', 'json'], { env })).stdout)
    const { code, stderr } = await runCommand(
      'sh',
      ['-c', `exec ${quote(process.execPath)} ${quote(bin)} toggle Acme/other -o json > /dev/full`],
      { env },
    )
    expect({ code, error: JSON.parse(stderr.split('\n')[1] ?? '') }).toEqual({
      code: 6,
      error: {
        level: 'error',
        error: {
          code: 'OUTPUT_FAILED',
          message: 'the change was made, but the answer could not be written',
          hint: 'check what was changed with integrations audit list',
          exit: 6,
          retryable: false,
          committed: true,
        },
      },
    })
    expect(JSON.parse((await run(['show', 'Acme/other', '-o', 'json'], { env })).stdout).version).toBe(version + 1)
  })
})

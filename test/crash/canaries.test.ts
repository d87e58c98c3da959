import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { amount, seed } from '../support/crash-amounts.ts'
import { contents, freshDatabase, type Kind, kinds, serverLog, type TestDatabase } from '../support/database.ts'
import { bin, freshFolder, type Outcome, quote, runCommand, runProgram } from '../support/program.ts'
import {
  changingCommands,
  commandsWithKeys,
  everyCommand,
  neitherCommands,
  populate,
  readOnlyCommands,
  revealingCommands,
  runSample,
  type Sample,
  type Secrets,
  settledCommands,
  verifyingCommand,
} from '../support/sample-commands.ts'

/** A planted secret, by what it is for. Nothing but its own cell, sealed, may hold it. */
const canaries = new Map<string, string>()
/** Those that the tests themselves put into an environment or onto a command line, where all can see them. */
const shown = { environ: new Set<string>(), cmdline: new Set<string>() }

function plant(name: string, value: string): string {
  canaries.set(name, value)
  return value
}
const hex = () => randomBytes(16).toString('hex')
const botToken = () => ['xox', 'b-1111111111-2222222222-', randomBytes(12).toString('hex')].join('')
const refreshToken = () => ['xox', 'e-1-', randomBytes(73).toString('hex')].join('')

const stored: Secrets = {
  signingSecret: plant('the stored signing secret', hex()),
  oldSigningSecret: plant('the old signing secret', hex()),
  botToken: plant('the stored bot token', botToken()),
  refreshToken: plant('the stored refresh token', refreshToken()),
  pylonSecret: plant('the stored Pylon secret', hex()),
  clientSecret: plant('the stored client secret', hex()),
}
const given = {
  piped: plant('the secret on standard input', hex()),
  typed: plant('the secret typed at a prompt', hex()),
  file: plant('the secret in a file', botToken()),
  variable: plant('the secret in a variable', botToken()),
  argument: plant('the secret given for a name', botToken()),
  password: plant('the password of the database', hex()),
  key: plant('the key in a broken key set', randomBytes(31).toString('base64url')),
}
shown.environ.add(given.variable).add(given.argument).add(given.password).add(stored.botToken).add(stored.refreshToken)
shown.cmdline.add(given.argument)

/** How a secret could be written down. */
const forms = (value: string) => [
  value,
  ...['', 'x', 'xx'].map((before) => {
    const text = Buffer.from(before + value).toString('base64')
    // Without the letters that what stands before and after has a part in.
    return text.slice(before === '' ? 0 : 4, -4)
  }),
  Buffer.from(value).toString('hex'),
]

/** What is looked for, in a whole: so that what has nothing of it is passed over quickly. */
let wanted = { of: 0, any: /(?!)/ }

/** The names of the canaries in a text. */
function canariesIn(text: string): string[] {
  if (wanted.of !== canaries.size)
    wanted = { of: canaries.size, any: new RegExp([...canaries.values()].flatMap(forms).map(literally).join('|')) }
  if (!wanted.any.test(text)) return []
  return [...canaries].filter(([, value]) => forms(value).some((form) => text.includes(form))).map(([name]) => name)
}

const literally = (text: string) => text.replace(/[+/]/g, '\\$&')

/** The files that secrets are read from, which the search leaves out. */
const planted = freshFolder()
const file = (name: string, text: string, mode = 0o600): string => {
  writeFileSync(join(planted, name), text, { mode })
  return join(planted, name)
}

const withCanary = (sample: Sample): Sample => {
  if (sample.command === 'webhook verify') return verifyingCommand(stored.pylonSecret)
  return sample.input !== undefined && /^[0-9a-f]{32}$/.test(sample.input) ? { ...sample, input: given.piped } : sample
}

const tokens = ['rotate', 'Acme/support', '--grace', '1h', '--end-previous', '--no-expiry']
const samples: readonly Sample[] = [
  ...readOnlyCommands,
  ...revealingCommands,
  ...commandsWithKeys,
  ...neitherCommands.map((command) => ({ command, args: command.split(' ') })),
  ...changingCommands.slice(0, -3).map(withCanary),
  { command: 'rotate', args: [...tokens, '--access-token-file', file('token', given.file)] },
  { command: 'rotate', args: [...tokens, '--access-token-env', 'TOKEN'], env: { TOKEN: given.variable } },
  {
    command: 'rotate',
    args: ['rotate', 'Acme/desk', '--field', 'webhook-secret', '--grace', '1h'],
    answers: [['New Pylon webhook secret', `${given.typed}\r`]],
  },
  ...changingCommands.slice(-3),
]

/** Commands that need no database. */
const apart = new Set(['config schema', 'completion', 'complete', 'help'])
const changes = new Set([...changingCommands, ...revealingCommands].map(({ command }) => command))
const refs = /^Acme\/(support|desk|care)$/
const takesSecret = ({ command, args }: Sample) => command === 'rotate' && !args.includes('--field')

/** Where a failure takes place. */
interface Place {
  readonly db: TestDatabase
  /** The key file that goes with the database. */
  readonly keys: string
}

/** One way for a command to fail. */
interface Failure {
  readonly name: string
  readonly kinds?: readonly Kind[]
  /** The commands that it can happen to; otherwise all. */
  readonly of?: (sample: Sample) => boolean
  /** Command lines of its own, in place of those of all commands. */
  readonly own?: readonly Sample[]
  readonly change?: (sample: Sample) => Sample
  readonly env?: (place: Place) => Record<string, string>
  /** What is done to the database before. */
  readonly prepare?: (place: Place) => Promise<unknown>
  readonly stdout?: string
  /** The exit code of one that it happens to. */
  readonly code: (sample: Sample) => number
}

const brokenSet = (bytes: string) => JSON.stringify({ keys: [{ kty: 'oct', kid: 'seal-1', use: 'enc', k: bytes }] })

/** The key set with other bytes under the same ids. */
function otherKeys(path: string): string {
  const { keys } = JSON.parse(readFileSync(path, 'utf8')) as { keys: { k: string }[] }
  return JSON.stringify({ keys: keys.map((key) => ({ ...key, k: randomBytes(32).toString('base64url') })) })
}

const whereChanging = (code: number) => (sample: Sample) => (changes.has(sample.command) ? code : 0)
/** Without the right keys, nothing can be changed, and the log cannot be verified; keys status and doctor say so. */
const withoutKeys = (code: number) => (sample: Sample) => {
  // An integration is looked for first, also under the name that it would have been given.
  if (sample.args.includes('Acme/care')) return 3
  if (['keys status', 'doctor'].includes(sample.command)) return 8
  return sample.command === 'audit verify' ? code : whereChanging(code)(sample)
}
/** Without a database, little can be done; doctor says so. */
const withoutDatabase =
  (code: number, ...without: readonly string[]) =>
  ({ command }: Sample) =>
    apart.has(command) || without.includes(command) ? 0 : command === 'doctor' ? 8 : code
const add = (...more: string[]) => ['add', '--platform', 'slack', '--workspace', 'Acme', '--name', ...more]

/** Every failure. With `samples`, this is the table: each command meets each failure that can happen to it. */
const failures: readonly Failure[] = [
  { name: 'none at all', code: () => 0 },
  {
    name: 'a value of two lines',
    of: takesSecret,
    change: (sample) => ({
      ...sample,
      args: sample.args.map((arg) =>
        arg.startsWith(planted) ? file('two-lines', `${given.file}\n${given.file}\n`) : arg,
      ),
      ...(sample.input === undefined ? {} : { input: `${sample.input}\n${sample.input}` }),
      ...(sample.env ? { env: { TOKEN: `${given.variable}\n${given.variable}` } } : {}),
    }),
    code: () => 2,
  },
  {
    name: 'a value of the wrong type',
    own: [
      { command: 'add', args: add('new', '--access-token-stdin'), input: given.piped },
      { command: 'add', args: add('new', '--access-token-file', file('wrong', ` ${given.file}`)) },
      { command: 'add', args: add('new', '--webhook-secret-stdin', '--config', '{'), input: given.piped },
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--refresh-token-stdin', '--grace', '0'],
        input: given.file,
      },
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '8d'],
        input: given.piped,
      },
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '5'],
        input: given.piped,
      },
    ],
    code: () => 2,
  },
  {
    name: 'a secret where its name belongs',
    own: [
      { command: 'add', args: add('new', '--access-token-env', given.argument) },
      { command: 'add', args: add('new', `--access-token=${given.argument}`) },
      { command: 'rotate', args: ['rotate', 'Acme/support', '--webhook-secret-file', given.argument, '--grace', '0'] },
      { command: 'rotate', args: ['rotate', 'Acme/support', '--webhook-secret', given.argument] },
      { command: 'list', args: ['list', '--database', `postgresql://user:${given.argument}@127.0.0.1:1/none`] },
      { command: 'list', args: ['list', '--wait', given.argument] },
    ],
    code: () => 2,
  },
  {
    name: 'one of that name, or that value, already',
    own: [
      { command: 'add', args: add('support', '--webhook-secret-stdin'), input: given.piped },
      { command: 'update', args: ['update', 'Acme/desk', '--name', 'taken'] },
      { command: 'workspaces add', args: ['workspaces', 'add', 'Acme'] },
      { command: 'workspaces rename', args: ['workspaces', 'rename', 'Empty', 'Acme'] },
      { command: 'users add', args: ['users', 'add', 'ana@example.com'] },
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0'],
        input: stored.signingSecret,
      },
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--webhook-secret-stdin', '--grace', '0'],
        input: given.piped,
      },
    ],
    prepare: ({ db }) =>
      db.query(
        "INSERT INTO integrations (id, workspace_id, platform, name) SELECT 'taken', workspace_id, 'pylon', 'taken' FROM integrations WHERE name = 'desk'",
      ),
    // The last two would end a grace period, whatever value they give.
    code: () => 5,
  },
  {
    name: 'an unknown reference',
    of: ({ command, args }) => command !== 'complete' && args.some((arg) => refs.test(arg)),
    change: (sample) => ({
      ...sample,
      args: sample.args.map((arg) => (refs.test(arg) ? 'Nobody/nothing' : arg)),
      ...(sample.answers ? { answers: [] } : {}),
    }),
    code: () => 3,
  },
  {
    name: 'the wrong keys',
    env: ({ keys }) => ({ INTEGRATIONS_KEYS_FILE: file('other-keys.json', otherKeys(keys)) }),
    code: withoutKeys(4),
  },
  {
    name: 'no keys',
    env: () => ({ INTEGRATIONS_KEYS_FILE: join(planted, 'none.json') }),
    code: withoutKeys(4),
  },
  {
    name: 'a broken key set',
    env: () => ({ INTEGRATIONS_KEYS_FILE: file('broken-keys.json', brokenSet(given.key)) }),
    code: withoutKeys(4),
  },
  {
    name: 'a key set that others can read',
    env: ({ keys }) => ({ INTEGRATIONS_KEYS_FILE: file('open-keys.json', readFileSync(keys, 'utf8'), 0o644) }),
    code: withoutKeys(4),
  },
  {
    name: 'a command for the keys that fails',
    env: ({ keys }) => ({
      INTEGRATIONS_KEYS_FILE: '',
      INTEGRATIONS_KEYS_COMMAND: `cat ${quote(keys)} | head -c 200; exit 3`,
    }),
    code: withoutKeys(4),
  },
  {
    name: 'two places for the keys',
    env: ({ keys }) => ({ INTEGRATIONS_KEYS_FILE: keys, INTEGRATIONS_KEYS_COMMAND: `cat ${quote(keys)}` }),
    code: withoutKeys(2),
  },
  {
    name: 'a database that is down',
    env: ({ db }) => ({
      DATABASE_URL:
        db.kind === 'sqlite'
          ? `file:${file('no-database', 'no database '.repeat(100))}`
          : `postgresql://postgres:${given.password}@127.0.0.1:1/none`,
    }),
    code: withoutDatabase(6, 'db roles'),
  },
  {
    name: 'a password that is refused',
    kinds: ['postgresql'],
    env: ({ db }) => {
      const url = new URL(db.url)
      url.password = given.password
      return { DATABASE_URL: url.href }
    },
    code: withoutDatabase(4, 'db roles'),
  },
  {
    name: 'a database URL that cannot be read',
    env: () => ({ DATABASE_URL: `postgresql://user:${given.password}@[host/database` }),
    code: withoutDatabase(2),
  },
  { name: 'read-only', env: () => ({ INTEGRATIONS_READ_ONLY: '1' }), code: whereChanging(4) },
  {
    name: "a rule of the application's",
    // What a failed statement tries to write goes into the log of the server.
    prepare: ({ db }) =>
      db.query(
        db.kind === 'postgresql'
          ? 'ALTER TABLE integrations ADD CONSTRAINT never CHECK (false) NOT VALID'
          : "CREATE TRIGGER never BEFORE UPDATE ON integrations BEGIN SELECT RAISE(ABORT, 'never'); END",
      ),
    // Labels are in no table of the application.
    of: ({ command, args }) =>
      ['rotate', 'update', 'config unset', 'enable'].includes(command) &&
      !args.includes('Acme/care') &&
      !args.includes('--unset'),
    change: (sample) => (sample.command === 'enable' ? { ...sample, args: ['disable', 'Acme/support'] } : sample),
    code: () => 5,
  },
  {
    name: 'standard output that cannot be written',
    stdout: '/dev/full',
    // What exec starts writes by itself.
    of: ({ answers, command }) => answers === undefined && command !== 'exec',
    code: ({ command, args }) => (command === 'complete' && args.includes('nothing') ? 0 : 6),
  },
  {
    name: 'Ctrl-C at a question',
    own: [
      {
        command: 'rotate',
        args: ['rotate', 'Acme/support', '--field', 'webhook-secret', '--grace', '0', '--end-previous'],
        answers: [['New Slack signing secret', `${given.typed}\x03`]],
      },
      {
        command: 'add',
        args: add('new'),
        answers: [['signing secret', `${given.typed}\x03`]],
      },
      { command: 'remove', args: ['remove', 'Acme/support'], answers: [['Type support', '\x03']] },
      {
        command: 'config edit',
        args: ['config', 'edit', 'Acme/support'],
        env: { VISUAL: `echo '{"a":1}' >` },
        answers: [['Change the config', '\x03']],
      },
    ],
    code: () => 130,
  },
]

test('the table has every command', async () => {
  expect(new Set([...samples.map(({ command }) => command), ...settledCommands])).toEqual(new Set(await everyCommand()))
})

/** exec keeps the codes of its command apart from its own. */
const own = ({ command }: Sample, code: number) => (command === 'exec' && code !== 0 ? 125 : code)

/** Processes whose command line and environment were looked at, and canaries that were seen there. */
const watched = { pids: new Set<string>(), seen: new Set<string>() }
let watching: NodeJS.Timeout | undefined

function watch(): void {
  const before = new Set(readdirSync('/proc'))
  const look = (pid: string, what: 'cmdline' | 'environ') => {
    try {
      const text = readFileSync(`/proc/${pid}/${what}`, 'latin1')
      if (what === 'cmdline' && text.includes('integrations.js')) watched.pids.add(pid)
      // What exec starts has the secrets in its environment, under the platform's names.
      if (what === 'environ' && /(^|\0)(SLACK|PYLON)_[A-Z_]+=/.test(text)) return
      for (const name of canariesIn(text))
        if (!shown[what].has(canaries.get(name) ?? '')) watched.seen.add(`${name} in ${what} of ${text.slice(0, 200)}`)
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  watching = setInterval(() => {
    for (const pid of readdirSync('/proc'))
      if (/^\d+$/.test(pid) && !before.has(pid)) {
        look(pid, 'cmdline')
        look(pid, 'environ')
      }
  }, 40)
}

beforeAll(watch)
afterAll(() => clearInterval(watching))

describe.each(kinds)('no secret gets out on %s', (kind) => {
  const root = freshFolder()
  const folder = (name: string) => {
    const path = join(root, name)
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return path
  }
  const keys = join(planted, `keys-${kind}.json`)
  const everywhere: Record<string, string> = {
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    XDG_CONFIG_HOME: folder('config'),
    XDG_DATA_HOME: folder('data'),
    XDG_STATE_HOME: folder('state'),
    XDG_RUNTIME_DIR: folder('run'),
    XDG_CACHE_HOME: folder('cache'),
    INTEGRATIONS_KEYS_FILE: keys,
  }

  beforeAll(() => {
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', keys)
    const set = JSON.parse(readFileSync(keys, 'utf8')) as { keys: { kid: string; k: string }[] }
    for (const { kid, k } of set.keys) plant(`the key ${kid}`, k)
  })

  // By default, each failure meets one of the databases, and the next time perhaps the other.
  const onBoth = (i: number) => i < amount(1, failures.length)
  const happening = failures.filter(
    (failure, i) =>
      (failure.kinds ?? kinds).includes(kind) &&
      (failure.kinds || onBoth(i) || kinds.indexOf(kind) === (i + seed) % kinds.length),
  )

  test.each(happening)('in case of: $name', async (failure) => {
    const db = await freshDatabase(kind)
    await populate(db, everywhere, stored, runProgram)
    expect(await db.query("SELECT value FROM integration_settings WHERE key = 'sealing'")).toEqual([
      { value: 'required' },
    ])
    await failure.prepare?.({ db, keys })

    // SQLite has no roles to print.
    const expected = (sample: Sample) =>
      kind === 'sqlite' && sample.command === 'db roles' ? 2 : own(sample, failure.code(sample))
    const leaks: string[] = []
    const codes: unknown[] = []
    const cells = (failure.own ?? samples.filter(failure.of ?? (() => true))).map(
      failure.change ?? ((sample) => sample),
    )
    expect(cells.length).toBeGreaterThan(2)
    for (const [i, sample] of cells.entries()) {
      const env = {
        ...everywhere,
        DATABASE_URL: db.url,
        DEBUG: i % 2 === 0 ? '*' : 'integrations',
        NODE_DEBUG: 'http,net',
        ...failure.env?.({ db, keys }),
      }
      const outcome = await runOne(sample, env, failure.stdout)
      codes.push([sample.args.join(' '), outcome.code, outcome.code === expected(sample) ? '' : outcome.stderr])
      const streams = revealingCommands.includes(sample) ? [outcome.stderr] : [outcome.stdout, outcome.stderr]
      for (const name of canariesIn(streams.join('\0')))
        leaks.push(`${name} in the output of ${sample.args.slice(0, 3).join(' ')}`)
    }
    expect(codes).toEqual(cells.map((sample) => [sample.args.join(' '), expected(sample), '']))

    const places = [root, ...(kind === 'sqlite' ? [dirname(db.url.slice('file:'.length))] : [])]
    const files = places.flatMap((place) =>
      readdirSync(place, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    )
    for (const path of files)
      for (const name of canariesIn(readFileSync(path, 'latin1'))) leaks.push(`${name} in ${path}`)
    for (const name of canariesIn(JSON.stringify(await contents(db)))) leaks.push(`${name} in a row`)
    if (kind === 'postgresql')
      for (const name of canariesIn((await serverLog(db)) ?? '')) leaks.push(`${name} in the log of the server`)
    expect([...new Set(leaks)]).toEqual([])
    expect([...watched.seen]).toEqual([])
  })

  test('the search finds what is there', async () => {
    const db = await freshDatabase(kind)
    await populate(db, everywhere, stored, runProgram)
    await db.query("UPDATE integrations SET webhook_secret = ? WHERE name = 'desk'", stored.pylonSecret)
    expect(canariesIn(JSON.stringify(await contents(db)))).toEqual(['the stored Pylon secret'])
    if (kind === 'postgresql') {
      await db.query(`SELECT '${stored.pylonSecret}' FROM nowhere`).catch(() => {})
      const log = await serverLog(db)
      if (log !== undefined) expect(canariesIn(log)).toEqual(['the stored Pylon secret'])
    } else {
      const folder = dirname(db.url.slice('file:'.length))
      const whole = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
      expect(canariesIn(whole.join('\0'))).toEqual(['the stored Pylon secret'])
    }
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(canariesIn(Buffer.from(`a=${given.piped}&b`).toString(encoding))).toEqual(['the secret on standard input'])
    // Enough of the processes lived long enough to be looked at.
    expect(watched.pids.size).toBeGreaterThan(100)
  })
})

function runOne(sample: Sample, env: Record<string, string>, stdout: string | undefined): Promise<Outcome> {
  if (stdout === undefined) return runSample(sample, { ...sample.env, ...env, ...sample.env })
  const command = `exec ${[process.execPath, bin, ...sample.args].map(quote).join(' ')} > ${stdout}`
  return runCommand('sh', ['-c', command], { env: { ...env, ...sample.env }, input: sample.input ?? '' })
}

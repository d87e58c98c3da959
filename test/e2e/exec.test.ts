import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { begin, freshDatabase, kinds, type TestDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, freshFolder, runInTerminal, runProgram } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'
import { addSlack } from '../support/slack-integration.ts'

const events = (db: TestDatabase) =>
  db.query("SELECT outcome, target_name, fields FROM integration_events WHERE action = 'secret.exec' ORDER BY seq")

const event = (outcome: string, fields = 'webhook_secret,access_token') => ({
  outcome,
  target_name: 'Acme/support',
  fields,
})
const started = [event('started')]
const [done, failed] = [
  [...started, event('done')],
  [...started, event('failed')],
]

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) await sleep(50)
  expect(done()).toBe(true)
}

describe.each(kinds)('exec on %s', (kind) => {
  async function start() {
    const db = await freshDatabase(kind)
    const env = { DATABASE_URL: db.url, TOKEN: botToken(1) }
    await addSlack(env, 'support', '--access-token-env', 'TOKEN')
    const { TOKEN: _, ...rest } = env
    return { db, env: rest, exec: (...args: string[]) => runProgram(['exec', ...args], { env: rest }) }
  }

  /** The environment of a command, as it was given to it. */
  async function environmentOf(env: Record<string, string>, ...args: string[]) {
    const { code, stdout, stderr } = await runProgram(['exec', ...args, '--', 'env', '-0'], { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return Object.fromEntries(
      stdout
        .split('\0')
        .slice(0, -1)
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
  }

  test('the command has our environment without what leads to the database, and the secrets that are set', async () => {
    const { db, env } = await start()
    const theirs = {
      PATH: process.env.PATH ?? '',
      HOME: freshFolder(),
      XDG_CACHE_HOME: freshFolder(),
      SPACED: ' a\nb=c ',
      PGTZ: 'UTC',
      PGAPPNAME: 'desk',
      SLACK_BOT_TOKEN: 'an older one',
      SLACK_REFRESH_TOKEN: "the caller's own",
    }
    const leading = {
      PGPASSFILE: '/nowhere',
      PGPASSWORD: 'p',
      PGSERVICEFILE: 's',
      PGHOST: 'h',
      INTEGRATIONS_ANYTHING: 'x',
    }
    const all = { ...env, ...theirs, ...leading }
    expect(await environmentOf(all, 'support')).toEqual({
      ...theirs,
      SLACK_SIGNING_SECRET: signingSecret(1),
      SLACK_BOT_TOKEN: botToken(1),
    })
    expect(await events(db)).toEqual(done)

    expect(await environmentOf(all, 'support', '--field', 'webhook-secret', '--env-prefix', 'APP_')).toEqual({
      ...theirs,
      APP_SIGNING_SECRET: signingSecret(1),
    })
    expect(await events(db)).toEqual([...done, event('started', 'webhook_secret'), event('done', 'webhook_secret')])
  })

  test('what follows the command is its own, and its exit code is the answer', async () => {
    const { db, exec } = await start()
    const script = ['sh', '-c', 'printf "[%s]" "$@"; echo; exit 7', 'name', '-o', 'json', '--help', '--', '--field']
    const outcome = { code: 7, stdout: '[-o][json][--help][--][--field]\n', stderr: '' }
    expect(await exec('support', '--', ...script)).toEqual(outcome)
    expect(await exec('--field', 'webhook-secret', '--reason', 'a test', 'support', '--', ...script)).toEqual(outcome)
    expect(await exec('support', '--', 'sh', '-c', 'kill -9 $$')).toEqual({ code: 137, stdout: '', stderr: '' })
    const one = [event('started', 'webhook_secret'), event('failed', 'webhook_secret')]
    expect(await events(db)).toEqual([...failed, ...one, ...failed])
  })

  test('standard input is read by the command alone, whole', async () => {
    const { env } = await start()
    const input = 'x'.repeat(3_000_000)
    const { code, stdout } = await runProgram(['exec', 'support', '--', 'wc', '-c'], { env, input })
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: String(input.length) })
  })

  test('our own failures have exit codes that commands leave alone', async () => {
    const { db, env, exec } = await start()
    const missing = 'hint: check the spelling, and that its folder is in PATH\n'
    expect(await exec('support', '--', 'no-such-command')).toEqual({
      code: 127,
      stdout: '',
      stderr: `error: there is no command "no-such-command"\n${missing}`,
    })
    expect(await exec('support', '--', '/etc/passwd')).toEqual({
      code: 126,
      stdout: '',
      stderr:
        'error: the command "/etc/passwd" cannot be started (EACCES)\nhint: check that it is an executable file that you may run\n',
    })
    const logged = await events(db)
    expect(logged).toEqual([...failed, ...failed])
    for (const [args, message] of [
      [['nobody', '--', 'true'], 'there is no integration "nobody"'],
      [['support', '--field', 'refresh-token', '--', 'true'], 'Acme/support has no refresh token'],
      [['support', '--field', 'password', '--', 'true'], "option '--field <secret>' does not take that value"],
      [['support', '--env-prefix', 'A-', '--', 'true'], '--env-prefix cannot begin the name of a variable'],
      [['support', '--frobnicate', '--', 'true'], "unknown option '--frobnicate'"],
      [['support', '--'], "missing required argument 'command'"],
      [
        ['--read-only', 'support', '--', 'true'],
        'nothing may be changed or recorded: --read-only or INTEGRATIONS_READ_ONLY is set',
      ],
      [['-o', 'xml', 'support', '--', 'true'], "option '-o, --output <format>' does not take that value"],
    ] as const) {
      const { code, stdout, stderr } = await runInProcess(['exec', ...args], { env })
      expect({ args, code, stdout, error: stderr.split('\n')[0] }).toEqual({
        args,
        code: 125,
        stdout: '',
        error: `error: ${message}`,
      })
    }
    const keyless = { ...env, INTEGRATIONS_KEYS_FILE: join(freshFolder(), 'none.json') }
    const refused = await runProgram(['exec', 'support', '-o', 'json', '--', 'true'], { env: keyless })
    expect(JSON.parse(refused.stderr).error).toMatchObject({ code: 'KEYS_MISSING', exit: 125 })
    expect(refused.code).toBe(125)
    await runInProcess(['add', '--platform', 'slack', '--workspace', 'Acme', '--name', 'bare'], { env })
    expect(await exec('bare', '--', 'true')).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/^error: Acme\/bare has no secret\nhint: integrations rotate /),
    })
    expect(await events(db)).toEqual(logged)
  })

  test('a command without -- before it is a usage error, whose hint has it', async () => {
    const { db, env } = await start()
    for (const [args, typed] of [
      [['support', 'true'], 'support -- true'],
      [['support', '--', '--'], 'support -- <command>'],
      [['support', 'npm', 'run', '-v', 'a b'], "support -- npm run -v 'a b'"],
      [['--reason', 'x', 'support', 'npm', 'start', '--verbose'], 'support -- npm start --verbose'],
    ] as const)
      expect({ args, ...(await runInProcess(['exec', ...args], { env })) }).toEqual({
        args,
        code: 125,
        stdout: '',
        stderr: `error: exec needs -- once, between the integration and the command\nhint: integrations exec ${typed}\n`,
      })
    expect(await runInProcess(['exec', 'support'], { env })).toEqual({
      code: 125,
      stdout: '',
      stderr:
        "error: missing required argument 'command'\nhint: integrations exec [options] <ref> -- <command> [args...]\n",
    })
    expect(await events(db)).toEqual([])
  })

  test('while it runs, that it was started is recorded, no argument holds a secret, and signals reach it', async () => {
    const { db, env } = await start()
    const folder = freshFolder()
    const ready = join(folder, 'ready')
    const keys = join(folder, 'keys.json')
    copyFileSync(process.env.INTEGRATIONS_TEST_KEYS ?? '', keys)
    chmodSync(keys, 0o600)
    const added: string[] = []
    const script = `
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'])
        process.on(signal, () => { require('fs').appendFileSync(${JSON.stringify(join(folder, 'signals'))}, signal + '\\n'); if (signal === 'SIGTERM') process.exit(3) })
      require('fs').writeFileSync(${JSON.stringify(ready)}, String(process.pid))
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, [bin, 'exec', 'support', '--', process.execPath, '-e', script], {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        INTEGRATIONS_KEYS_FILE: keys,
        ...env,
      },
      stdio: 'pipe',
    })
    const ended = new Promise<number | null>((done) => child.on('exit', done))
    await until(() => existsSync(ready) && readFileSync(ready, 'utf8') !== '')
    expect(await events(db)).toEqual(started)
    const running = Number(readFileSync(ready, 'utf8'))
    for (const pid of [child.pid, running]) {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      expect(line).toContain(script)
      expect(line).not.toContain(signingSecret(1))
      expect(line).not.toContain(botToken(1))
    }
    if (kind === 'postgresql')
      expect(
        await db.query(
          'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
        ),
      ).toEqual([])
    // Another key is taken into use meanwhile.
    for (const args of [
      ['keys', 'add', '-o', 'id'],
      ['keys', 'activate'],
    ]) {
      const { code, stdout } = await runInProcess([...args, ...added], {
        env: { ...env, INTEGRATIONS_KEYS_FILE: keys },
      })
      expect(code).toBe(0)
      added.push(stdout.trim())
    }
    const signals = () =>
      existsSync(join(folder, 'signals')) ? readFileSync(join(folder, 'signals'), 'utf8').split('\n').length - 1 : 0
    for (const [i, signal] of (['SIGHUP', 'SIGINT', 'SIGTERM'] as const).entries()) {
      child.kill(signal)
      await until(() => signals() === i + 1)
    }
    expect(await ended).toBe(3)
    expect(readFileSync(join(folder, 'signals'), 'utf8')).toBe('SIGHUP\nSIGINT\nSIGTERM\n')
    expect(await events(db)).toEqual(failed)
  })

  test('how it ended is not recorded when we are killed, or cannot: its exit code is the answer all the same', async () => {
    const { db, exec } = await start()
    expect(await exec('support', '--', 'sh', '-c', 'kill -9 $PPID')).toEqual({ code: -1, stdout: '', stderr: '' })
    const folder = freshFolder()
    const [ready, go] = [join(folder, 'ready'), join(folder, 'go')]
    const script = `touch ${ready}; while [ ! -e ${go} ]; do sleep 0.05; done; exit 7`
    const outcome = exec('--wait', '1s', 'support', '--', 'sh', '-c', script)
    await until(() => existsSync(ready))
    const release = await begin(db, "UPDATE integration_settings SET seq = seq WHERE key = 'head'")
    writeFileSync(go, '')
    expect(await outcome).toEqual({
      code: 7,
      stdout: '',
      stderr: expect.stringMatching(
        db.kind === 'sqlite'
          ? /^warning: the audit log does not record how the command ended: the database was busy until the time was up\n$/
          : /^warning: the audit log does not record how the command ended: the database was busy until the time was up: process \d+ may hold the lock, in a transaction since [\dT:.-]+Z\n$/,
      ),
    })
    await release()
    expect(await events(db)).toEqual([...started, ...started])
  })
})

test('a default database that is gone when the command has ended is not made anew', async () => {
  const home = freshFolder()
  const env = { HOME: home }
  await addSlack(env)
  const folder = join(home, '.local/share/integrations')
  expect(await runProgram(['exec', 'support', '--', 'sh', '-c', `rm -r ${folder}; exit 7`], { env })).toEqual({
    code: 7,
    stdout: '',
    stderr: `warning: the audit log does not record how the command ended: there is no file ${folder}/integrations.db\n`,
  })
  expect(existsSync(folder)).toBe(false)
})

describe('on a terminal', () => {
  async function start(script: string, answers: Parameters<typeof runInTerminal>[1]) {
    const db = await freshDatabase('sqlite')
    const env = { DATABASE_URL: db.url }
    await addSlack(env)
    return runInTerminal(['exec', 'support', '--', process.execPath, '-e', script], answers, { env })
  }

  test('the command has it to itself', async () => {
    const script = `
      const { stdin, stdout, stderr } = process
      console.log([stdin.isTTY, stdout.isTTY, stderr.isTTY, stdout.columns].join(' '))
      console.log('ready')
      stdin.once('data', (line) => { console.log('read ' + line.toString().trim()); process.exit(4) })`
    const { code, screen } = await start(script, [['ready', 'typed\n']])
    expect(screen).toContain('true true true 100\r\nready\r\n')
    expect(screen).toContain('read typed\r\n')
    expect(code).toBe(4)
  })

  test('Ctrl-C is its own, and comes once', async () => {
    const script = `
      let count = 0
      process.on('SIGINT', () => { console.log('count ' + ++count + ';') })
      process.on('SIGQUIT', () => setTimeout(() => process.exit(10 + count), 300))
      setInterval(() => {}, 1000)
      console.log('ready')`
    // One that came again before the first was taken would not be seen: hence several.
    const { code } = await start(script, [
      ['ready', '\x03'],
      ...[1, 2, 3, 4, 5, 6, 7].map((n) => [`count ${n};`, '\x03'] as const),
      ['count 8;', '\x1c'],
    ])
    expect(code).toBe(18)
  })
})

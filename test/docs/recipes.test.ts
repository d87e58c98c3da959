import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { freshDatabase } from '../support/database.ts'
import { document } from '../support/documents.ts'
import { runInProcess } from '../support/in-process.ts'
import { freshFolder, pathWithProgram, quote, runCommand } from '../support/program.ts'

const { blocks } = document('docs/recipes.md')
const has = (program: string) => spawnSync('which', [program]).status === 0

/** The one block in a language that has a text. */
function block(info: string, part: string): string {
  const found = blocks.filter((one) => one.info === info && one.text.includes(part))
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} blocks have ${part}`)
  return found[0].text
}

/** Could end a script, a message, a command or a mail, if any of these took it for more than a name. */
const hostile = '</script> <!channel> <@U1> & "x" \\ $(touch pwned) `touch pwned` \r\n.\r\n'

/** What of it people read in markdown. */
const shown = 'Acme/\\u{3c}/script> \\u{3c}!channel> \\u{3c}@U1> & "x" '

/** A request that a job made. */
interface Asked {
  readonly path: string | undefined
  readonly type: string | undefined
  readonly body: string
}

const asked: Asked[] = []
let [status, url] = [200, '']

beforeEach(async () => {
  asked.length = 0
  status = 200
  const server = createServer(async (request, response) => {
    asked.push({ path: request.url, type: request.headers['content-type'], body: await text(request) })
    response.writeHead(request.url === '/slack' ? status : 200).end('ok')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

/** A machine with the program, the scripts of the chapter, and a database with integrations whose tokens have just expired. */
async function machine(names: readonly string[] = [hostile]) {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await runInProcess(['workspaces', 'add', 'Acme'], { env })
  const [{ id } = {}] = await db.query('SELECT id FROM workspaces')
  for (const [n, name] of names.entries())
    await db.query(
      "INSERT INTO integrations (id, workspace_id, platform, name, token_expires_at) VALUES (?, ?, 'slack', ?, ?)",
      `id-${n}`,
      String(id),
      name,
      new Date(Date.now() - 3_600_000).toISOString().replace('Z', '+00:00'),
    )
  const [folder = ''] = pathWithProgram().split(':')
  const script = (name: string, body: string) => writeFileSync(join(folder, name), body, { mode: 0o755 })
  script('integrations-morning', block('sh', 'SLACK_WEBHOOK_URL'))
  const settings = join(freshFolder(), 'report.env')
  const configure = (database: string) =>
    writeFileSync(
      settings,
      block('sh not-run', 'DATABASE_URL=')
        .replace(/postgresql:[^']*/, database)
        .replace(/https:\/\/hooks[^']*/, `${url}/slack`)
        .replace(/https:\/\/hc-ping[^']*/, `${url}/heartbeat`),
    )
  configure(db.url)
  /** As the text stands in the chapter, with the places of this machine. */
  const here = (body: string) =>
    body.replaceAll('/usr/local/bin', folder).replaceAll('/etc/integrations/report.env', settings)
  return { db, env, folder, script, configure, here }
}

/** Runs the job of a crontab as cron does: with its variables, by sh, and without any others. */
function runByCron(crontab: string) {
  const lines = crontab.trimEnd().split('\n')
  const jobs = lines.flatMap((line) => /^(?:[\d*/,-]+ ){5}(.*)$/.exec(line)?.[1] ?? [])
  const variables = lines.filter((line) => /^[A-Z]+=/.test(line))
  expect([jobs.length, variables.length + jobs.length]).toEqual([1, lines.length])
  // cron would take it for the end of a line.
  expect(jobs[0]).not.toContain('%')
  const home = freshFolder()
  const thin = ['-i', `HOME=${home}`, 'LOGNAME=ops', 'SHELL=/bin/sh', ...variables]
  return runCommand('env', [...thin, '/bin/sh', '-c', String(jobs[0])], { cwd: home })
}

const tools = ['curl', 'jq'].filter((program) => !has(program))
if (tools.length > 0) process.stderr.write(`not tested without ${tools.join(' and ')}: the job of each morning\n`)

test.skipIf(tools.length > 0)(
  'cron: each morning, Slack is told what is new, and the monitor that somebody has looked',
  async () => {
    const { db, folder, script, configure, here } = await machine([
      hostile,
      ...Array.from({ length: 50 }, (_, n) => `n${n}`),
    ])
    // No list of processes shows an address.
    const real = spawnSync('which', ['curl'], { encoding: 'utf8' }).stdout.trim()
    script('curl', `#!/bin/sh\nprintf '%s\\n' "$@" >> ${quote(join(folder, 'curl.log'))}\nexec ${real} "$@"\n`)
    const crontab = here(block('cron', 'integrations-morning'))
    expect(await runByCron(crontab)).toEqual({ code: 0, stdout: '', stderr: '' })
    const [message, heartbeat, ...others] = asked.splice(0)
    expect([message?.path, message?.type, heartbeat, others]).toEqual([
      '/slack',
      'application/json',
      { path: '/heartbeat', type: undefined, body: '' },
      [],
    ])
    const { text: told, ...more } = JSON.parse(message?.body ?? '')
    expect(more).toEqual({})
    expect(told).not.toMatch(/[<>]|&(?!(amp|lt|gt);)/)
    const read = told.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
    expect(read.split('\n').slice(0, 1)).toEqual(['## 51 errors in 51 integrations'])
    expect(read).toContain(shown)
    expect([read.split('\n').length, read.split('\n').at(-1)]).toEqual([41, '… and more: integrations report'])
    expect(readFileSync(join(folder, 'curl.log'), 'utf8')).not.toContain('http')
    expect(existsSync(join(folder, 'pwned'))).toBe(false)

    // What is refused there is told, and no monitor hears that all is well.
    status = 404
    expect(await runByCron(crontab)).toMatchObject({ code: 22, stderr: expect.stringContaining('404') })
    expect(asked.splice(0).map(({ path }) => path)).toEqual(['/slack'])

    await db.query("UPDATE integrations SET token_expires_at = '2026-01-02 03:04:05'")
    expect(await runByCron(crontab)).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(asked.splice(0).map(({ path }) => path)).toEqual(['/heartbeat'])

    configure(`file:${freshFolder()}/none.db`)
    expect(await runByCron(crontab)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/^error: there is no file /),
    })
    expect(asked).toEqual([])
  },
)

test('without a folder of its own, the script of the morning ends before it does anything', async () => {
  const { env, folder } = await machine()
  const cwd = freshFolder()
  writeFileSync(join(cwd, 'mine'), '')
  const PATH = `${folder}:/usr/bin:/bin`
  const run = await runCommand('integrations-morning', [], { env: { ...env, PATH, TMPDIR: join(cwd, 'none') }, cwd })
  expect([run.code, run.stdout, readdirSync(cwd), asked]).toEqual([1, '', ['mine'], []])
})

test('systemd takes the units, and what they start is there', async () => {
  const { here, folder } = await machine()
  const files = ['service', 'timer'].map((kind) => {
    const unit = block('ini', `integrations-morning.${kind}\n`)
    const [, name = ''] = /^# \/etc\/systemd\/system\/(.*)$/m.exec(unit) ?? []
    const file = join(folder, name)
    writeFileSync(file, here(unit).replace('User=integrations', `User=${process.env.USER ?? 'root'}`))
    return file
  })
  for (const file of files)
    for (const line of readFileSync(file, 'utf8').split('\n')) expect(line).toMatch(/^(#.*|\[\w+\]|[A-Z]\w+=\S.*|)$/)
  expect(existsSync(/^ExecStart=(.*)$/m.exec(readFileSync(String(files[0]), 'utf8'))?.[1] ?? '')).toBe(true)
  if (!has('systemd-analyze')) return
  expect(await runCommand('systemd-analyze', ['verify', ...files])).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('a mail has the counts as its subject, and a body that ends nothing', async () => {
  const { env, folder, script } = await machine()
  script('sendmail', '#!/bin/sh\nprintf \'%s\\n\' "$*" > flags\ncat > mail\n')
  const cwd = freshFolder()
  const PATH = `${folder}:/usr/bin:/bin`
  const body = ['-eu', '-c', block('sh', 'sendmail')]
  expect(await runCommand('/bin/sh', body, { env: { ...env, PATH }, cwd })).toMatchObject({ code: 0, stdout: '' })
  const read = (file: string) => readFileSync(join(cwd, file), 'utf8')
  const [head, encoded = ''] = read('mail').split('\n\n')
  expect([read('flags'), head?.split('\n'), Buffer.from(encoded, 'base64').toString()]).toEqual([
    '-oi -t\n',
    [
      'To: ops@example.com',
      'Subject: integrations: 1 error in 1 integration',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: base64',
    ],
    read('report.md'),
  ])
  expect(read('report.md')).toContain(shown)
})

test('node_exporter finds gauges that it may read', async () => {
  const { env, folder } = await machine()
  const TEXTFILES = freshFolder()
  const run = () =>
    runCommand('/bin/sh', ['-eu', '-c', block('sh', 'TEXTFILES')], {
      env: { ...env, TEXTFILES, PATH: `${folder}:/usr/bin:/bin` },
    })
  for (const _ of [1, 2]) expect(await run()).toMatchObject({ code: 0 })
  const file = join(TEXTFILES, 'integrations.prom')
  expect([(statSync(file).mode & 0o777).toString(8), readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)]).toEqual([
    '644',
    '# EOF',
  ])
})

/** Runs commands of a CI job as its runner does, but for those that install the program. @returns what is left of its folder */
async function runSteps(steps: readonly string[], env: Record<string, string>) {
  const cwd = freshFolder()
  const codes: (number | null)[] = []
  for (const step of steps.filter((step) => !step.startsWith('npm install'))) {
    writeFileSync(join(cwd, 'step.sh'), step)
    const outcome = await runCommand('bash', ['-e', '-o', 'pipefail', 'step.sh'], { env, cwd })
    codes.push(outcome.code)
  }
  return { codes, read: (file: string) => readFileSync(join(cwd, file), 'utf8') }
}

test('GitHub Actions: the job fails, its summary has the report, and the page is there to be kept', async () => {
  const { env, folder } = await machine()
  const { jobs } = parse(block('yaml', 'runs-on'))
  const steps: { run?: string; uses?: string; if?: string; with?: { path: string } }[] = jobs.report.steps
  expect(Object.keys(jobs.report.env)).toEqual(Object.keys(env))
  const summary = join(freshFolder(), 'summary.md')
  const { codes, read } = await runSteps(
    steps.flatMap(({ run }) => run ?? []),
    { ...env, PATH: `${folder}:/usr/bin:/bin`, CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary },
  )
  expect(codes).toEqual([8])
  expect(readFileSync(summary, 'utf8')).toMatch(/^## 1 error, 2 unknown findings in 1 integration\n/)
  expect(readFileSync(summary, 'utf8')).toContain(shown)
  const kept = steps.find(({ uses }) => uses?.startsWith('actions/upload-artifact'))
  expect([kept?.if, read(String(kept?.with?.path)).slice(0, 15)]).toEqual(['always()', '<!doctype html>'])
})

test('GitLab: the job fails, and its tests are there', async () => {
  const { env, folder } = await machine()
  const { report } = parse(block('yaml', 'artifacts'))
  const { codes, read } = await runSteps(report.script, { ...env, PATH: `${folder}:/usr/bin:/bin`, CI: 'true' })
  expect([codes, report.artifacts.when]).toEqual([[8], 'always'])
  expect(read(report.artifacts.reports.junit)).toMatch(/^<\?xml [^>]*>\s*<testsuites [^>]*failures="1"/)
})

test('every example of the chapter is one that a test here runs', () => {
  const known = [
    ['sh', 'SLACK_WEBHOOK_URL'],
    ['sh not-run', 'DATABASE_URL='],
    ['cron', 'integrations-morning'],
    ['ini', 'integrations-morning.service\n'],
    ['ini', 'integrations-morning.timer\n'],
    ['sh', 'sendmail'],
    ['sh', 'TEXTFILES'],
    ['yaml', 'runs-on'],
    ['yaml', 'artifacts'],
  ] as const
  expect(blocks.map(({ text }) => text)).toEqual(known.map(([info, part]) => block(info, part)))
})

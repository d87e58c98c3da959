import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formats, reportFormats } from '../../src/cli/host.ts'
import { addMany, freshDatabase } from '../support/database.ts'
import { runInProcess } from '../support/in-process.ts'
import { bin, environment, freshFolder, runCommand, runProgram } from '../support/program.ts'
import { schemaProblems } from '../support/report-schema.ts'

/** A database with an integration whose platform no version of this program knows: an unknown finding. */
async function withFinding() {
  const db = await freshDatabase('sqlite')
  const env = { DATABASE_URL: db.url }
  await runInProcess(['workspaces', 'add', 'Acme'], { env })
  await db.query(
    "INSERT INTO integrations (id, workspace_id, platform, name, last_used_at) SELECT 'id-1', id, 'other', 'one', '2026-01-01 00:00:00.000+00:00' FROM workspaces",
  )
  return { db, env }
}

const failing = ['report', '--fail-on', 'unknown']
const sentence = '1 unknown finding in 1 integration'
const told = `error: ${sentence}\nhint: what to type for each finding: integrations report --fields integration,next\n`
/** A text with its moments left out. */
const timeless = (text: string) => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z?|(?<=_report_timestamp_seconds )\S+/g, '…')
const markdown = `## ${sentence[0]?.toUpperCase()}${sentence.slice(1)}

As of ….

### unknown: platform-unknown (1)

This version does not know the platform.

- \`Acme/one\`
`

test('-o markdown is the report as markdown', async () => {
  const { env } = await withFinding()
  const { stdout, ...outcome } = await runInProcess([...failing, '-o', 'markdown'], { env })
  expect({ ...outcome, stdout: timeless(stdout) }).toEqual({ code: 8, stdout: markdown, stderr: told })
})

test('JSON is as its schema says, which finds what is not', async () => {
  const { env } = await withFinding()
  const { stdout } = await runInProcess([...failing, '-o', 'jsonl'], { env })
  const finding = JSON.parse(stdout)
  expect(finding).toEqual({
    ...{ severity: 'unknown', code: 'platform-unknown', integration: 'Acme/one', id: 'id-1', platform: 'other' },
    ...{ owner: null, since: null, evidence: 'this version does not know the platform', next: null },
  })
  expect(schemaProblems(finding, 'finding')).toEqual([])
  for (const wrong of [{ code: 'other' }, { severity: null }, { since: 'yesterday' }, { evidence: 1 }])
    expect(schemaProblems({ ...finding, ...wrong }, 'finding')).not.toEqual([])
  for (const field of Object.keys(finding)) {
    const { [field]: _, ...less } = finding
    expect(schemaProblems(less, 'finding')).not.toEqual([])
  }
})

test.each([undefined, ...formats, ...reportFormats])('--out writes -o %s to a file of its owner', async (format) => {
  const { env } = await withFinding()
  const args = [...failing, ...(format === undefined ? [] : ['-o', format])]
  const { stdout, ...outcome } = await runProgram(args, { env })
  const folder = freshFolder()
  expect(await runProgram([...args, '--out', 'report'], { env, cwd: folder })).toEqual({ ...outcome, stdout: '' })
  expect(outcome.code).toBe(8)
  expect(readdirSync(folder)).toEqual(['report'])
  const file = join(folder, 'report')
  expect([timeless(readFileSync(file, 'utf8')), statSync(file).mode & 0o777]).toEqual([timeless(stdout), 0o600])
  expect(stdout).not.toBe('')
})

test('--out takes the place of a file, whose mode and link stay; - is standard output', async () => {
  const { env } = await withFinding()
  const folder = freshFolder()
  const file = join(folder, 'report')
  writeFileSync(file, 'before'.repeat(1000))
  chmodSync(file, 0o644)
  symlinkSync('report', join(folder, 'link'))
  const args = [...failing, '-o', 'id', '--out']
  expect(await runProgram([...args, 'link'], { env, cwd: folder })).toEqual({ code: 8, stdout: '', stderr: told })
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['id-1\n', 0o644])
  expect(readdirSync(folder).sort()).toEqual(['link', 'report'])
  expect(await runProgram([...args, '-'], { env, cwd: folder })).toEqual({ code: 8, stdout: 'id-1\n', stderr: told })
})

test('--out refuses what is no file, before the database is asked', async () => {
  const folder = freshFolder()
  mkdirSync(join(folder, 'closed'), { mode: 0o500 })
  symlinkSync('nowhere', join(folder, 'dangling'))
  const env = { DATABASE_URL: 'postgresql://nobody@localhost:1/none' }
  const name = 'name the file, as in --out report.md'
  const elsewhere = 'name a file in a folder that exists and that you may write to'
  for (const [out, message, hint] of [
    ['.', 'is not a file', name],
    ['', 'is not a file', name],
    ['closed/', 'is not a file', name],
    ['/dev/null', 'is not a regular file', 'leave --out out, and redirect standard output with >'],
    ['dangling', 'is a link to a file that does not exist', 'name another file with --out'],
    ['none/report', 'cannot be written (ENOENT)', elsewhere],
    ...(process.getuid?.() === 0 ? [] : [['closed/report', 'cannot be written (EACCES)', elsewhere] as const]),
  ] as const)
    expect(await runProgram(['report', `--out=${out}`], { env, cwd: folder })).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: --out "${out}" ${message}\nhint: ${hint}\n`,
    })
  expect(readdirSync(folder).sort()).toEqual(['closed', 'dangling'])
})

test('--out never takes the place of the database', async () => {
  const { db, env } = await withFinding()
  const file = db.url.slice('file:'.length)
  const before = statSync(file).ino
  const message = `error: --out ${JSON.stringify(file)} is the database itself\nhint: name another file with --out\n`
  expect(await runProgram(['report', '--out', file], { env })).toEqual({ code: 2, stdout: '', stderr: message })
  expect(statSync(file).ino).toBe(before)
})

const contents = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))

test('--out leaves what was there, and nothing else, when the report fails or the disk is full', async () => {
  const { db, env } = await withFinding()
  await addMany(db, 2000)
  const folder = freshFolder()
  writeFileSync(join(folder, 'report'), 'before')
  const missing = { DATABASE_URL: `file:${folder}/none.db` }
  expect(await runProgram(['report', '--out', 'report'], { env: missing, cwd: folder })).toMatchObject({ code: 6 })
  expect(contents(folder)).toEqual({ report: 'before' })
  for (const format of ['jsonl', 'junit']) {
    const limited = 'ulimit -f 64; exec "$@"'
    const args = ['-c', limited, 'sh', process.execPath, bin, 'report', '-o', format, '--out', 'report']
    const { code, stdout, stderr } = await runCommand('sh', args, { env, cwd: folder })
    expect({ code, stdout, stderr }).toEqual({
      code: 6,
      stdout: '',
      stderr: expect.stringContaining('the output could not be written'),
    })
    expect(contents(folder)).toEqual({ report: 'before' })
  }
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s leaves nothing of --out behind', async (signal) => {
  const folder = freshFolder()
  writeFileSync(join(folder, 'report'), 'before')
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const env = { DATABASE_URL: `postgresql://anyone@127.0.0.1:${port}/none` }
  const child = spawn(process.execPath, [bin, 'report', '--out', 'report'], { env: environment(env), cwd: folder })
  const ended = once(child, 'exit')
  await Promise.race([once(silent, 'connection'), ended])
  expect(readdirSync(folder)).toEqual(['report', `report.${child.pid}.new`])
  child.kill(signal)
  expect(await ended).toEqual([null, signal])
  expect(contents(folder)).toEqual({ report: 'before' })
  silent.close()
})

test('in a GitHub job, the summary of the job gets the markdown, whatever the format', async () => {
  const { env } = await withFinding()
  const folder = freshFolder()
  const GITHUB_STEP_SUMMARY = join(folder, 'summary')
  writeFileSync(GITHUB_STEP_SUMMARY, 'of another step\n')
  const job = { ...env, GITHUB_STEP_SUMMARY }
  for (const format of ['id', 'table', 'markdown'])
    expect(await runInProcess([...failing, '-o', format], { env: job })).toMatchObject({ code: 8, stderr: told })
  expect(await runInProcess([...failing, '-o', 'id', '--out', join(folder, 'ids')], { env: job })).toMatchObject({
    code: 8,
  })
  expect(contents(folder)).toEqual({
    summary: expect.stringMatching(/^of another step\n/),
    ids: 'id-1\n',
  })
  expect(timeless(readFileSync(GITHUB_STEP_SUMMARY, 'utf8'))).toBe(`of another step\n${`${markdown}\n`.repeat(4)}`)
  // No summary is no reason to fail, and none is lost over it.
  const { code, stdout, stderr } = await runInProcess([...failing, '-o', 'id'], {
    env: { ...env, GITHUB_STEP_SUMMARY: folder },
  })
  expect({ code, stdout, stderr }).toEqual({
    code: 8,
    stdout: 'id-1\n',
    stderr: `warning: the summary of the job, "${folder}" (GITHUB_STEP_SUMMARY), cannot be written: EISDIR\n${told}`,
  })
})

test('formats of report are refused elsewhere, have no fields, and are offered by Tab and by errors', async () => {
  const env = { DATABASE_URL: 'postgresql://nobody@localhost:1/none' }
  const refused = async (...args: string[]) => {
    const { code, stdout, stderr } = await runInProcess(args, { env })
    return { code, stdout, stderr: stderr.split('\n').slice(0, 2) }
  }
  const usual = 'the formats are table, json, jsonl, csv, id'
  for (const args of [['list'], ['audit', 'list'], ['config', 'get', 'x'], ['init'], ['completion', 'bash']])
    expect(await refused(...args, '-o', 'markdown')).toEqual({
      code: 2,
      stdout: '',
      stderr: ['error: -o markdown is a format of report alone', `hint: ${usual}`],
    })
  expect(await refused('report', '-o', 'markdown', '--fields', 'code')).toEqual({
    code: 2,
    stdout: '',
    stderr: ['error: -o markdown has no fields to choose', 'hint: leave --fields out'],
  })
  expect(await refused('report', '-o', 'xml')).toEqual({
    code: 2,
    stdout: '',
    stderr: [
      "error: option '-o, --output <format>' does not take that value",
      `hint: ${usual}; report also has ${reportFormats.join(', ')}`,
    ],
  })
  expect(await refused('report', '--markdown')).toMatchObject({
    code: 2,
    stderr: ["error: unknown option '--markdown'", 'hint: pass -o markdown'],
  })
  for (const [command, offered] of [
    ['report', [...formats, ...reportFormats]],
    ['list', formats],
  ] as const)
    expect((await runInProcess(['complete', 'fish', '--', command, '-o', ''], { env })).stdout.split('\t\n')).toEqual([
      ...offered,
      '',
    ])
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorCodes, exitCodes } from '../../src/errors.ts'
import { runInTerminal, runProgram } from '../support/program.ts'

test('help exit-codes is the table of the program', async () => {
  const { code, stdout, stderr } = await runProgram(['help', 'exit-codes'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const [exit, meaning] of Object.entries(exitCodes))
    expect(stdout).toContain(`\n${exit.padStart(5)}  ${meaning}\n`)
  for (const [name, { exit, retryable, meaning }] of Object.entries(errorCodes))
    expect(stdout).toMatch(new RegExp(`^  ${name} +${exit}  ${retryable ? 'yes' : 'no'} +${meaning}$`, 'm'))
})

test('help environment names every variable that the program reads', async () => {
  const { code, stdout, stderr } = await runProgram(['help', 'environment'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.includes('generated'),
  )
  const read = sources.flatMap((file) => {
    const source = readFileSync(join('src', file), 'utf8')
    const destructured = [...source.matchAll(/const \{([^}]+)\} = (?:\w+\.)?env\b/g)].flatMap(([, names = '']) =>
      names.split(',').map((name) => name.split(':')[0]?.trim() ?? ''),
    )
    return [...[...source.matchAll(/\benv\.([A-Z_]+)/g)].flatMap(([, name]) => name ?? []), ...destructured]
  })
  expect(read).toContain('DATABASE_URL')
  expect(read).toContain('XDG_DATA_HOME')
  for (const name of read) expect(stdout, name).toMatch(new RegExp(`\\b${name}\\b`))
})

test('help output says what the formats are', async () => {
  expect(await runProgram(['help', 'output'])).toEqual({
    code: 0,
    stdout: expect.stringContaining('table, json, jsonl, csv, id'),
    stderr: '',
  })
})

test('help of a command, of one below another, and of all', async () => {
  for (const words of [['rotate'], ['workspaces'], ['workspaces', 'add'], []])
    expect(await runProgram(['help', ...words])).toEqual(await runProgram([...words, '--help']))
})

test('help that there is not', async () => {
  expect(await runProgram(['help', 'nonsense'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'error: there is no help for "nonsense"\nhint: name a command of integrations --help, or one of exit-codes, environment, output\n',
  })
})

test.each([[[]], [['workspaces']], [['users']]])(
  'a command line that stops at %j gets help as an error',
  async (words) => {
    const { stdout } = await runProgram([...words, '--help'])
    expect(await runProgram(words)).toEqual({ code: 2, stdout: '', stderr: stdout })
  },
)

const commandLine = /^ +\$ /

test.each([
  [['--help']],
  [['rotate', '--help']],
  [['audit', 'list', '--help']],
  [['secrets']],
  [['help', 'environment']],
  [['help', 'output']],
])('%j has lines between words on a terminal, of 40 columns too', async (words) => {
  for (const columns of [40, 60, 80]) {
    const { screen } = await runInTerminal(words, [], { columns })
    const lines = screen.trimEnd().split('\r\n')
    // What has no space cannot be broken, and a command is left whole to be copied.
    const long = lines.filter((line) => line.length > columns && line.trim().includes(' ') && !commandLine.test(line))
    expect({ columns, long }).toEqual({ columns, long: [] })
    const { stdout, stderr } = await runProgram(words)
    const text = (all: string) => all.split(/\s+/).filter((word) => word !== '')
    expect(text(screen)).toEqual(text(stdout + stderr))
  }
})

test.each([
  [['env'], 'environment'],
  [['exit'], 'exit-codes'],
  [['secrets', 'finsh'], 'secrets finish'],
  [['rotate', 'secrets'], 'rotate'],
])('help that was asked for in other words leads to what there is: %j', async (words, there) => {
  expect(await runProgram(['help', ...words])).toEqual({
    code: 2,
    stdout: '',
    stderr: `error: there is no help for "${words.join(' ')}"\nhint: integrations help ${there}\n`,
  })
})

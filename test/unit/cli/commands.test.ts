import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { describe, expect, test } from 'vitest'
import { createContext } from '../../../src/cli/context.ts'
import { program } from '../../../src/cli/program.ts'
import { changingCommands, settledCommands } from '../../support/sample-commands.ts'

const root = await program(createContext(process), () => true)

/** Every command below one, the hidden ones left out. */
const below = (command: CommandUnknownOpts): CommandUnknownOpts[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => command.commands.includes(one))
    .flatMap((one) => [one, ...below(one)])

const path = (command: CommandUnknownOpts): string =>
  command.parent ? `${path(command.parent)} ${command.name()}` : command.name()

const commands = below(root).map((command) => [path(command), command] as const)

/** The whole help, with what is added after it. */
function help(command: CommandUnknownOpts): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) })
  command.outputHelp()
  return text
}

test('the program has its commands', () => {
  expect(commands.map(([name]) => name)).toEqual(
    expect.arrayContaining(['integrations add', 'integrations users remove', 'integrations help']),
  )
})

describe.each(commands)('%s', (name, command) => {
  test('says what it does, in a sentence', () => {
    expect(command.description()).toMatch(/^[A-Z].*[.]$/s)
    expect(command.summary()).not.toMatch(/[.]$/)
    if (command.parent === root) expect(command.summary()).toMatch(/^[a-z]/)
  })

  test('documents its arguments and options', () => {
    for (const argument of command.registeredArguments) expect(argument.description, argument.name()).not.toBe('')
    for (const option of command.options) expect(option.description, option.flags).toMatch(/^\S/)
  })

  test('shows an example and the options that all commands have', () => {
    const text = help(command)
    if (command.commands.length === 0) expect(text).toContain(`Examples:\n  $ `)
    if (command.commands.length === 0) expect(text.split('Examples:\n')[1]).toContain(name)
    expect(text).toContain('Global Options:')
  })

  test('has no flag twice', () => {
    const flags = [...command.options, ...root.options]
      .flatMap(({ short, long }) => [short, long])
      .filter((flag) => flag !== undefined)
    expect(flags).toEqual([...new Set(flags)])
  })
})

test('whatever changes something can be tried first', () => {
  const changes = new Set([...changingCommands.map(({ command }) => command), ...settledCommands])
  const lacking = commands.filter(
    ([name, { options }]) =>
      changes.has(name.replace('integrations ', '')) && !options.some(({ long }) => long === '--dry-run'),
  )
  const exempt = [
    // The first commands of all: what they would make, db status and keys list tell.
    'integrations init',
    'integrations keys init',
    // Asks and reads, and changes nothing but the audit log; check fills in what is empty, but for --no-fill.
    ...['check', 'webhook sign', 'webhook verify', 'webhook send'].map((name) => `integrations ${name}`),
    // What it would settle stands in list.
    'integrations recover',
  ]
  expect(new Set(lacking.map(([name]) => name))).toEqual(new Set(exempt))
})

/** What stands in the parenthesis that a text begins with. */
function parenthesis(text: string): string {
  let depth = 0
  const end = [...text].findIndex((character) => {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0
    return depth === 0
  })
  return text.slice(1, end)
}

describe('every question has a flag that answers it', () => {
  const files = readdirSync('src/cli', { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && file !== 'prompts.ts',
  )
  const questions = files.flatMap((file) => {
    const source = readFileSync(join('src/cli', file), 'utf8')
    const names = [...source.matchAll(/new Command\('([\w-]+)'\)/g)].map(([, name]) => name)
    // What is nothing but a conversation refuses to begin where nobody can be asked.
    if (source.includes('if (!ctx.prompts.possible())')) return []
    const asking = commands.map(([, command]) => command).filter((command) => names.includes(command.name()))
    return [...source.matchAll(/prompts\.(?:text|secret|choose|search|confirm)(?=\()/g)].map(({ index }) => ({
      file,
      call: parenthesis(source.slice(source.indexOf('(', index))),
      asking: asking.length > 0 ? asking : commands.map(([, command]) => command),
    }))
  })

  test('the questions are found', () => expect(questions.length).toBeGreaterThan(5))

  test.each(questions)('$file: question %#', ({ call, asking }) => {
    // Where a field is put in, one stands for all.
    const flags = call.replaceAll(/\$\{flagOf\([^}]*\)\}/g, 'webhook-secret').match(/--[a-z][\w-]*/g) ?? []
    expect(flags).not.toEqual([])
    for (const flag of flags)
      expect(
        asking.flatMap(({ options }) => options.map(({ long }) => long)),
        flag,
      ).toContain(flag)
  })
})

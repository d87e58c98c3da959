import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { findingCodes, isIntegrationCode } from '../../operations/report/finding.ts'
import { platforms } from '../../platforms/platforms.ts'
import { allRows } from '../../store/all-rows.ts'
import type { Reader } from '../../store/store.ts'
import { topicNames } from '../commands/help.ts'
import { fieldsOf, ownFormatsOf } from '../input/arguments.ts'
import { actionFilters } from '../input/audit-filters.ts'
import { allCodes } from '../input/finding-code.ts'
import { printable } from '../output/text.ts'

/** What a word could be completed to. */
export interface Candidate {
  readonly value: string
  readonly description: string
}

/** Stands for the path of any file, which the shell completes itself. */
export const aFile: Candidate = { value: ':files', description: '' }

/** Reads from the database that a command line names; undefined: from the default one. */
export type Lookup = (database: string | undefined, work: (db: Reader) => Promise<Candidate[]>) => Promise<Candidate[]>

const maxNames = 1000

/**
 * What the word under the cursor could become: subcommands, flags, or the values that a flag or an argument takes.
 *
 * @param line the words before it, without the name of the program, and the beginning of the word itself
 */
export async function candidates(
  root: CommandUnknownOpts,
  { words, current }: { readonly words: readonly string[]; readonly current: string },
  lookup: Lookup,
): Promise<readonly Candidate[]> {
  const { command, option, operands, flagsEnded, database } = follow(root, words)
  const values = async (placeholder: string, choices: readonly string[] | undefined, begun: string) =>
    beginning(
      begun,
      choices
        ? listed(inOrders(placeholder, choices, begun))
        : await valuesOf({ command, placeholder, begun }, (work) => lookup(database, work)),
    )
  const choicesOf = (option: Option) =>
    option.long === '--output'
      ? [...(option.argChoices ?? []), ...(ownFormatsOf.get(command) ?? [])]
      : option.argChoices
  if (option) return values(placeholderOf(option), choicesOf(option), current)
  if (!flagsEnded && current.startsWith('-')) {
    const options = optionsOf(command)
    const [, flag, begun = ''] = /^(--[^=]+)=(.*)$/s.exec(current) ?? []
    if (flag === undefined)
      return beginning(
        current,
        options.map(({ long, short, description }) => ({ value: long ?? short ?? '', description })),
      )
    const assigned = options.find(({ long }) => long === flag)
    const found = assigned ? await values(placeholderOf(assigned), choicesOf(assigned), begun) : []
    return found.map((one) => (one === aFile ? one : { ...one, value: `${flag}=${one.value}` }))
  }
  const argument =
    command.registeredArguments[operands] ?? command.registeredArguments.findLast(({ variadic }) => variadic)
  const subcommands = operands === 0 ? beginning(current, subcommandsOf(command)) : []
  return [...subcommands, ...(argument ? await values(argument.name(), argument.argChoices, current) : [])]
}

/** Goes through the words before the cursor as commander would. */
function follow(root: CommandUnknownOpts, words: readonly string[]) {
  let command = root
  let option: Option | undefined
  let operands = 0
  let flagsEnded = false
  let database: string | undefined
  for (const word of words) {
    if (option) {
      if (option.long === '--database') database = word
      option = undefined
    } else if (flagsEnded) operands++
    else if (word === '--') flagsEnded = true
    else if (word.startsWith('-')) {
      const [, flag, value] = /^(-[^=]*)(?:=(.*))?$/s.exec(word) ?? []
      const found = optionsOf(command).find(({ long, short }) => flag === long || flag === short)
      if (value === undefined) option = found?.required || found?.optional ? found : undefined
      else if (found?.long === '--database') database = value
    } else {
      const subcommand = command.commands.find((one) => one.name() === word)
      if (subcommand && operands === 0) command = subcommand
      else operands++
    }
  }
  return { command, option, operands, flagsEnded, database }
}

/** The values of a flag or an argument, which is known by how its help calls them. */
async function valuesOf(
  { command, placeholder, begun }: { command: CommandUnknownOpts; placeholder: string; begun: string },
  read: (work: (db: Reader) => Promise<Candidate[]>) => Promise<Candidate[]>,
): Promise<readonly Candidate[]> {
  switch (placeholder) {
    case 'file':
      return [aFile]
    case 'platform':
      return platforms.map(({ id, title }) => ({ value: id, description: title }))
    case 'action':
      return listed(actionFilters)
    case 'code':
      return (
        [command, command.parent].some((one) => one?.name() === 'report')
          ? allCodes
          : allCodes.filter(isIntegrationCode)
      ).map((code) => ({
        value: code,
        description: findingCodes[code][1],
      }))
    case 'topic':
      return [...subcommandsOf(command.parent ?? command), ...listed(topicNames)]
    case 'fields': {
      // What is before the last comma stays.
      const chosen = begun.slice(0, begun.lastIndexOf(',') + 1)
      return listed(
        (fieldsOf.get(command) ?? [])
          .filter((field) => !chosen.split(',').includes(field))
          .map((field) => chosen + field),
      )
    }
    case 'ref':
      return read(async (db) => {
        const found = await db.integrations.names(maxNames, begun)
        const isUnique = (name: string) => found.filter((one) => one.name === name).length === 1
        return found.flatMap(({ id, name, workspace }) => [
          named(`${workspace}/${name}`, id, begun),
          // Of a name that others have, too, every one is found, unless there are more than can be.
          ...(begun !== '' && found.length < maxNames && isUnique(name) ? [{ value: name, description: id }] : []),
        ])
      })
    case 'key-id':
      // Keys that `keys add` is for are in no database.
      if (command.name() === 'add') return []
      return read(async (db) =>
        (await db.keys.list())
          .filter(({ purpose, state }) => purpose === 'encryption' && state === 'decrypt-only')
          .map(({ id, state }) => ({ value: id, description: state })),
      )
    case 'policy':
      return read(async (db) => listed((await db.policies.list()).map(({ name }) => name)))
    case 'app':
      return read(async (db) => (await db.apps.list()).map(({ id, name }) => named(name, id, begun)))
    case 'workspace':
      return read(async (db) => {
        const filter = begun === '' ? {} : { nameContains: begun }
        const found = await allRows(db.workspaces.list(filter, { sort: 'name', descending: false, limit: maxNames }))
        return found.map(({ id, name }) => named(name, id, begun))
      })
    case 'owner':
      return read(async (db) => listed((await db.labels.owners(maxNames, begun)).map(({ value }) => value)))
    // An option that filters takes a key alone, too, and one that sets a tag does not.
    case 'tag':
    case 'tag-key':
    case 'key':
      return read(async (db) => {
        const tags = await db.labels.tags(maxNames, begun)
        return listed([
          ...(placeholder === 'key' ? [] : tags.map(({ key }) => key)),
          ...(placeholder === 'tag-key' ? [] : tags.map(({ key, value }) => `${key}=${value}`)),
        ])
      })
    case 'user':
      return read(async (db) => {
        const filter = begun === '' ? {} : { emailContains: begun }
        const found = await allRows(db.users.list(filter, { sort: 'email', descending: false, limit: maxNames }))
        return found.map(({ id, email }) => named(email, id, begun))
      })
    default:
      return []
  }
}

/** By its name, or by its id where that is what was begun or the name cannot be typed. */
const named = (name: string, id: string, begun: string): Candidate =>
  name.startsWith(begun) && printable(name) === name
    ? { value: name, description: id }
    : { value: id, description: name }

/** Those that begin so. A value that a terminal would act on is left out: escaped, it would be another value. */
function beginning(current: string, all: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>()
  return all
    .filter(
      (one) =>
        one === aFile ||
        (one.value.startsWith(current) &&
          printable(one.value) === one.value &&
          !seen.has(one.value) &&
          seen.add(one.value)),
    )
    .map((one) => (one === aFile ? one : { ...one, description: printable(one.description) }))
}

/** The fields of `--sort`, backwards where that is what was begun. */
const inOrders = (placeholder: string, choices: readonly string[], begun: string) =>
  placeholder === 'field' && begun.startsWith('-') ? choices.map((choice) => `-${choice}`) : choices

const listed = (values: readonly string[]) => values.map((value) => ({ value, description: '' }))

const placeholderOf = ({ flags }: Option) => /[<[]([\w-]+)/.exec(flags)?.[1] ?? ''

const subcommandsOf = (command: CommandUnknownOpts) =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((one) => ({ value: one.name(), description: one.summary() || one.description() }))

const optionsOf = (command: CommandUnknownOpts) => {
  const help = command.createHelp()
  help.showGlobalOptions = true
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)]
}

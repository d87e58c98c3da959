/** How findings of a report are named on the command line. @module */
import { Argument, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { distance } from 'fastest-levenshtein'
import {
  type FindingCode,
  findingCodes,
  type IntegrationCode,
  isIntegrationCode,
} from '../../operations/report/finding.ts'
import { each } from './arguments.ts'

/** The codes that there are. */
export const allCodes = Object.keys(findingCodes) as readonly FindingCode[]

/** Reads the code of a finding. @throws InvalidArgumentError with the nearest one */
function findingCode(text: string): FindingCode {
  const given = text.toLowerCase()
  const code = allCodes.find((one) => one === given)
  if (code !== undefined) return code
  const [best = ''] = allCodes.toSorted((a, b) => distance(a, given) - distance(b, given))
  const isNear = distance(best, given) <= Math.max(2, given.length / 3)
  throw new InvalidArgumentError(`${isNear ? `did you mean ${best}? ` : ''}integrations report --help lists the codes`)
}

/** Reads the code of a finding about integrations. @throws InvalidArgumentError */
function integrationCode(text: string): IntegrationCode {
  const code = findingCode(text)
  if (isIntegrationCode(code)) return code
  throw new InvalidArgumentError(`${code} is about the database, and not about an integration`)
}

/** Reads one of several codes. @throws InvalidArgumentError */
const oneOf =
  <Code>(read: (text: string) => Code) =>
  (text: string): Code => {
    if (text.includes(',')) throw new InvalidArgumentError('give --finding once for each code')
    return read(text)
  }

/** The code of a finding, as a command about one takes it. @param argv the command line, which may have the code behind the reference */
export const codeArgument = (argv: readonly string[]) =>
  new Argument('<code>', 'the code of the finding, as report shows it').argParser((text) => {
    const isBehind = !isCode(text) && argv.slice(argv.indexOf(text) + 1).some(isCode)
    if (isBehind) throw new InvalidArgumentError('the code comes first')
    return findingCode(text)
  })

const isCode = (text: string): boolean => allCodes.some((code) => code === text.toLowerCase())

/** Chooses integrations by what a report finds. */
export const findingFilter = () =>
  new Option(
    '--finding <code>',
    'that have this finding in a report; give the option again for integrations that have any of several',
  ).argParser(each(oneOf(integrationCode)))

/** Chooses among the findings of a report itself. */
export const findingOption = () =>
  new Option('--finding <code>', 'only findings with this code; give the option again for several codes').argParser(
    each(oneOf(findingCode)),
  )

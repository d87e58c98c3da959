import { expect, test } from 'vitest'
import { fitHelp } from '../../../src/cli/output/help-text.ts'

const help = `Usage: integrations rotate [options] <ref>

Options:
  --grace <duration>  how long the previous secret stays valid
  -h, --help          print help

Environment:
  PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSERVICE
                      what the URL leaves out
  PAGER               what shows tables that are longer
                      than the terminal
  Without any of these: the user and the host,
  of the operating system.

Examples:
  $ integrations rotate Acme/support --field webhook-secret --grace 24h
`

test('help in 40 columns has descriptions below their terms, where there is no room beside them', () => {
  expect(fitHelp(help, 40)).toBe(`Usage: integrations rotate [options]
<ref>

Options:
  --grace <duration>
      how long the previous secret stays
      valid
  -h, --help          print help

Environment:
  PGHOST, PGPORT, PGDATABASE, PGUSER,
  PGPASSWORD, PGSERVICE
      what the URL leaves out
  PAGER
      what shows tables that are longer
      than the terminal
  Without any of these: the user and the
  host, of the operating system.

Examples:
  $ integrations rotate Acme/support --field webhook-secret --grace 24h
`)
})

test('help in 50 columns has descriptions beside their terms, and help as wide as the terminal is left as it is', () => {
  expect(fitHelp(help, 50).split('\n').slice(3, 13)).toEqual([
    '  --grace <duration>  how long the previous secret',
    '                      stays valid',
    '  -h, --help          print help',
    '',
    'Environment:',
    '  PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD,',
    '  PGSERVICE',
    '                      what the URL leaves out',
    '  PAGER               what shows tables that are',
    '                      longer than the terminal',
  ])
  expect([fitHelp(help, 80), fitHelp(help, undefined)]).toEqual([help, help])
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reference, referenceFile } from '../../scripts/docs.ts'
import { exitCodes } from '../../src/errors.ts'
import { freshFolder, pathWithProgram, quote, runCommand } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'

const readme = readFileSync('README.md', 'utf8')

test('the reference is what the help says (else: npm run docs)', async () => {
  expect(await reference()).toBe(readFileSync(referenceFile, 'utf8'))
})

test('the exit codes are those of the program', () => {
  for (const [exit, meaning] of Object.entries(exitCodes))
    expect(readme).toMatch(new RegExp(`^\\| ${exit} +\\| ${meaning} +\\|$`, 'm'))
})

test('the endpoint is the one of the examples, which is tested', () => {
  expect(readme).toContain(`\`\`\`js\n${readFileSync('examples/receiver/server.js', 'utf8')}\`\`\``)
})

/** The commands of each example, and what they are said to print. */
const examples = [...readme.matchAll(/^```sh\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```/gm)].map(
  ([, commands = '', output = '']) => ({ commands, output }),
)

test('the worked examples print what they are said to print', async () => {
  expect(examples).toHaveLength(6)
  const env = {
    PATH: pathWithProgram(),
    HOME: freshFolder(),
    // The keys are made there.
    INTEGRATIONS_KEYS_FILE: '',
    TERM: 'dumb',
    SECRET: signingSecret(1),
    NEW: signingSecret(2),
    SLACK_TOKEN: botToken(),
  }
  for (const { commands, output } of examples) {
    const file = join(freshFolder(), 'example.sh')
    writeFileSync(file, commands)
    const command = `stty cols 160; exec bash -eu -o pipefail ${quote(file)}`
    const { code, stdout } = await runCommand('script', ['-qefc', command, '/dev/null'], { env })
    const screen = stdout.replaceAll('\r\n', '\n').replace(/ +$/gm, '')
    const pattern = output.split('…').map(literally).join('.*')
    expect(screen).toMatch(new RegExp(`^${pattern}$`))
    expect(code).toBe(0)
  }
})

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

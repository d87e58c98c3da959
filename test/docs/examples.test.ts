import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseDocument } from 'yaml'
import { unknownCommands } from '../support/command-lines.ts'
import { type Block, document, documents } from '../support/documents.ts'
import { slackError, slackOk, startPlatformServer } from '../support/platform-server.ts'
import { freshFolder, pathWithProgram, quote, runCommand } from '../support/program.ts'
import { botToken, signingSecret } from '../support/samples.ts'
import { accessToken, app, refreshToken, slackOAuth } from '../support/slack-oauth.ts'

/**
 * How a fenced block is tested. `sh` runs, in order, in a HOME of the document's own; `sh not-run` needs another
 * system and is parsed. `text` directly behind `sh` is what that prints. Documents with a test of their own
 * run what stands in the other languages.
 */
const languages = ['sh', 'sh not-run', 'text', 'yaml', 'js', 'ts', 'json', 'python', 'sql', 'cron', 'ini']

const [firstExample] = document('README.md').blocks.filter(({ info }) => info === 'sh')

/** The recipes run in environments that are not a person's: see recipes.test.ts. */
const runnable = documents.filter(
  ({ file, blocks }) => file !== 'docs/recipes.md' && blocks.some(({ info }) => info === 'sh'),
)

test('every block says in which language it is', () => {
  const unknown = documents.flatMap(({ file, blocks }) =>
    blocks.filter(({ info }) => !languages.includes(info)).map(({ info, text }) => ({ file, info, text })),
  )
  expect(unknown).toEqual([])
})

test('the documents with examples are found', () => {
  expect(runnable.length).toBeGreaterThanOrEqual(9)
  expect(runnable.flatMap(({ blocks }) => blocks.filter(({ info }) => info === 'sh')).length).toBeGreaterThan(25)
})

test('an example that goes on after a failure says which', () => {
  const silent = runnable.flatMap(({ file, blocks }) =>
    blocks
      .filter(({ info, text, next }) => info === 'sh' && / \|\| /.test(text) && !/exit code \d/.test(next?.text ?? ''))
      .map(({ text }) => ({ file, text })),
  )
  expect(silent).toEqual([])
})

describe('examples run', () => {
  test.each(runnable)('$file', async ({ file, blocks }) => {
    const env = await surroundings(file)
    if (firstExample && file !== 'README.md') await expectToRun(firstExample, env)
    for (const block of blocks.filter(({ info }) => info === 'sh')) await expectToRun(block, env)
  })
})

/** What examples find: the program, the values that README names, Slack, and an endpoint that answers as Slack asks. */
async function surroundings(file: string): Promise<Record<string, string>> {
  const slack = await slackOAuth()
  const tokens = slack.install(1)
  const newTokens = slack.install(2)
  const api = await startPlatformServer()
  for (const each of [tokens, newTokens])
    api.script(accessToken(each), slackOk({ team_id: 'T012AB3CD', revoked: true }))
  api.script(botToken(), slackError('token_revoked'))
  const endpoint = createServer(async (request, response) => {
    response.end(Object(await json(request)).challenge ?? 'ok')
  })
  await new Promise<void>((done) => endpoint.listen(0, '127.0.0.1', done))
  onTestFinished(async () => {
    endpoint.close()
    await api.close()
  })
  return {
    PATH: pathWithProgram(),
    HOME: freshFolder(),
    // The keys are made there.
    INTEGRATIONS_KEYS_FILE: '',
    INTEGRATIONS_API_URL: file === 'docs/refreshing.md' ? slack.url : api.everything,
    ENDPOINT: `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/slack`,
    TERM: 'dumb',
    SECRET: signingSecret(1),
    NEW: signingSecret(2),
    SLACK_TOKEN: accessToken(tokens),
    NEW_SLACK_TOKEN: accessToken(newTokens),
    REVOKED_TOKEN: botToken(),
    REFRESH_TOKEN: refreshToken(tokens),
    CLIENT_SECRET: app.secret,
  }
}

/** Runs a block at a terminal of 160 columns, and compares what is on the screen with the block of text behind it. */
async function expectToRun(block: Block, env: Record<string, string>): Promise<void> {
  const file = join(freshFolder(), 'example.sh')
  writeFileSync(file, `cd\n${block.text}`)
  const command = `stty cols 160; exec bash -eu -o pipefail ${quote(file)}`
  const { code, stdout } = await runCommand('script', ['-qefc', command, '/dev/null'], { env })
  const screen = stdout.replaceAll('\r\n', '\n').replace(/ +$/gm, '')
  if (code !== 0) throw new Error(`exit code ${code} of:\n${block.text}\n${screen}`)
  if (block.next?.info === 'text') expect(screen).toMatch(pattern(block.next.text))
}

/** What a screen has to look like: `…` stands for the rest of a line, or for any lines where it stands alone. */
function pattern(text: string): RegExp {
  const lines = text.trimEnd().split('\n')
  return new RegExp(
    `^${lines.map((line) => (line === '…' ? '(?:.*\n)*' : `${line.split('…').map(literally).join('.*')}\n`)).join('')}$`,
  )
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

describe('examples that need another system are parsed', () => {
  const scripts = documents.flatMap(({ file, blocks }) =>
    blocks.flatMap(({ info, text }) =>
      info === 'sh not-run'
        ? [{ file, script: text }]
        : info === 'yaml'
          ? scriptsOf(parseYaml(text)).map((script) => ({ file, script }))
          : [],
    ),
  )

  test('they are found, those in YAML too', () => {
    expect(scripts.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/ci.md']))
  })

  test.each(scripts)('$file: $script', async ({ script }) => {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(await unknownCommands(script)).toEqual([])
  })

  test('JSON and JavaScript', () => {
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor
    for (const { file, blocks } of documents)
      for (const { info, text } of blocks) {
        if (info === 'json') JSON.parse(text)
        // Those of frameworks are modules, and run in test/frameworks.
        if (info === 'js' && file !== 'docs/frameworks.md') new AsyncFunction(text.replace(/^import .*$/gm, ''))
      }
  })
})

function parseYaml(text: string): unknown {
  const { errors, warnings, ...parsed } = parseDocument(text)
  expect([...errors, ...warnings]).toEqual([])
  return parsed.contents?.toJSON?.() ?? parseDocument(text).toJS()
}

/** The shell scripts in a CI configuration: what stands under `run` or `script`. */
function scriptsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'run' || key === 'script' ? [[inner].flat().join('\n')] : scriptsOf(inner),
  )
}

test('every command that a document names exists, with its flags', async () => {
  const named = documents
    .filter(({ file }) => file !== 'CHANGELOG.md')
    .flatMap(({ file, prose }) =>
      [...prose.matchAll(/`(integrations [^`]+)`/g)].map(([, command = '']) => ({ file, command })),
    )
  expect(named.length).toBeGreaterThan(30)
  const unknown = await Promise.all(
    named.map(async ({ file, command }) => ({ file, unknown: await unknownCommands(command) })),
  )
  expect(unknown.filter(({ unknown }) => unknown.length > 0)).toEqual([])
})

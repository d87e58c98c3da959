/**
 * Draws the terminal pictures of the README: runs the built program in a pseudo-terminal, on an embedded database in a
 * folder that is removed in the end, and gives what is on the screen as SVG. Ids, instants and fingerprints are
 * replaced by fixed ones, so that two runs draw the same picture.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { createClient } from '@libsql/client/sqlite3'
import { type ParseToken, parseAnsiSequences } from 'ansi-sequence-parser'

/** What runs before, unseen. */
const preparation = `
integrations workspaces add Acme
integrations workspaces add Globex
printf %s "$SECRET" | integrations add --platform slack --workspace Acme --name support --webhook-secret-stdin --access-token-env SLACK_TOKEN --no-expiry
printf %s "$OTHER" | integrations add --platform slack --workspace Globex --name alerts --webhook-secret-stdin --access-token-env SLACK_TOKEN --expires-in 50h
printf %s "$OTHER" | integrations add --platform pylon --workspace Acme --name desk --webhook-secret-stdin
printf %s "$OTHER" | integrations add --platform github --workspace Globex --name deploys --webhook-secret-stdin
integrations disable Globex/deploys
"$NODE" "$RECEIVER"
`

/** Each picture, with the commands that it shows. */
const pictures = {
  'docs/list.svg': ['integrations list'],
  'docs/rotate.svg': [
    'printf %s "$NEW" | integrations rotate Acme/support --webhook-secret-stdin --grace 24h',
    'integrations secrets list support --fields field,number,state,lastMatchedAt',
  ],
} as const

/** An endpoint that starts, and is killed, or it would take its report with it: a receiver is known to accept previous secrets. */
const receiver = `
const { createReceiver } = require(${JSON.stringify(resolve('dist/receiver.cjs'))})
const keys = { file: process.env.INTEGRATIONS_KEYS_FILE }
createReceiver({ database: process.env.DATABASE, keys }).then((receiver) => receiver.flush()).then(() => process.exit())
`

/** Webhooks came in a while ago: so long that it reads the same after a slow run. */
const usage = `
UPDATE integrations SET last_used_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 hours', '-20 minutes') WHERE name <> 'deploys';
UPDATE integration_secrets SET match_count = 412, last_matched_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 hours', '-20 minutes')
WHERE field = 'webhook_secret' AND integration_id = (SELECT id FROM integrations WHERE name = 'support');
`

/** Draws the pictures. @returns each file with its text. @throws when a command fails */
export async function draw(): Promise<Record<string, string>> {
  const home = mkdtempSync(join(tmpdir(), 'integrations-pictures-'))
  try {
    writeFileSync(join(home, 'integrations'), '#!/bin/sh\nexec "$NODE" "$PROGRAM" "$@"\n', { mode: 0o755 })
    writeFileSync(join(home, 'receiver.cjs'), receiver)
    const env = {
      HOME: home,
      PATH: `${home}${delimiter}${process.env.PATH ?? ''}`,
      NODE: process.execPath,
      PROGRAM: resolve('bin/integrations.js'),
      RECEIVER: join(home, 'receiver.cjs'),
      DATABASE: `file:${home}/.local/share/integrations/integrations.db`,
      INTEGRATIONS_KEYS_FILE: join(home, 'keys.json'),
      TERM: 'xterm',
      SECRET: '01'.repeat(16),
      OTHER: '02'.repeat(16),
      NEW: '03'.repeat(16),
      SLACK_TOKEN: ['xox', `b-1111111111-2222222222-${'a'.repeat(24)}`].join(''),
    }
    const run = (program: string, ...args: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8' })
      if (status !== 0) throw new Error(`failed: ${args.join(' ')}\n${stdout}${stderr}`)
      return stdout.replaceAll('\r\n', '\n')
    }
    run('sh', '-euc', preparation)
    const client = createClient({ url: env.DATABASE })
    await client.executeMultiple(usage)
    client.close()
    const screen = (command: string) =>
      `$ ${command}\n${run('script', '-qefc', `stty cols ${columns}; ${command}`, '/dev/null')}`
    return Object.fromEntries(
      Object.entries(pictures).map(([file, commands]) => [
        file,
        svg(`The output of ${commands.join(' and ')}`, stable(commands.map(screen).join('\n'))),
      ]),
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A screen without what differs from run to run; what replaces it is as long, so that columns stay in line. */
function stable(screen: string): string {
  return (
    screen
      .replace(
        /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
        inOrder((n) => `${n}19ab1de-5f0c-4d3a-9c41-2b7e6f80a1d3`),
      )
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '2026-11-27T09:30:00.000Z')
      .replace(
        /\b[0-9a-f]{16}\b/g,
        inOrder((n) => `${n}c1276f24e4e9e8b`),
      )
      // The beginning of an id.
      .replace(
        /\b[0-9a-f]{8}$/gm,
        inOrder((n) => `${n}19ab1de`),
      )
  )
}

/** Replaces every distinct text by one made of the order in which it appeared. */
function inOrder(replacement: (n: number, found: string) => string): (found: string) => string {
  const seen: string[] = []
  return (found) => {
    if (!seen.includes(found)) seen.push(found)
    return replacement(seen.indexOf(found) + 1, found)
  }
}

const columns = 80
const characterWidthPx = 8.43
const lineHeightPx = 20
const marginPx = 16

/** A screen as SVG: one text element a line, colours by class, legible on light and on dark. */
function svg(title: string, screen: string): string {
  const lines = linesOf(parseAnsiSequences(screen.trimEnd()))
  const width = Math.ceil(columns * characterWidthPx + 2 * marginPx)
  const height = lines.length * lineHeightPx + 2 * marginPx
  const text = lines.map(
    (line, index) =>
      `<text x="${marginPx}" y="${marginPx + 15 + index * lineHeightPx}">${line.map(span).join('')}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" xml:space="preserve">
<title>${escaped(title)}</title>
<style>
  text { font: 14px ui-monospace, Menlo, Consolas, monospace; white-space: pre; fill: #1f2328 }
  rect { fill: #f6f8fa; stroke: #d0d7de }
  .bold { font-weight: bold } .dim { opacity: .65 }
  .green { fill: #116329 } .yellow { fill: #7d4e00 } .red { fill: #a40e26 } .cyan { fill: #1b7c83 } .blue { fill: #0550ae }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } rect { fill: #161b22; stroke: #30363d }
    .green { fill: #56d364 } .yellow { fill: #e3b341 } .red { fill: #ffa198 } .cyan { fill: #56d4dd } .blue { fill: #79c0ff }
  }
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
${text.join('\n')}
</svg>
`
}

/** The lines of a screen, those that are too long broken as a terminal breaks them. */
function linesOf(tokens: readonly ParseToken[]): ParseToken[][] {
  const lines: ParseToken[][] = [[]]
  let length = 0
  for (const token of tokens)
    for (const piece of token.value.split(/(\n)/))
      for (let rest = piece; rest !== ''; ) {
        if (rest === '\n' || length === columns) {
          lines.push([])
          length = 0
        }
        const value = rest === '\n' ? '' : rest.slice(0, columns - length)
        if (value !== '') lines.at(-1)?.push({ ...token, value })
        length += value.length
        rest = rest === '\n' ? '' : rest.slice(value.length)
      }
  return lines
}

function span({ value, foreground, decorations }: ParseToken): string {
  const classes = [...decorations, ...(foreground?.type === 'named' ? [foreground.name] : [])]
  return classes.length > 0 ? `<tspan class="${classes.join(' ')}">${escaped(value)}</tspan>` : escaped(value)
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

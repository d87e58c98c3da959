import { createHash } from 'node:crypto'
import { type PageAssets, pageAssets } from './assets.ts'
import type { PageData } from './data.ts'

/**
 * A report as one file of HTML that asks for nothing and runs nothing but its own script. What comes from the database is
 * data in it, never markup: the script shows it as text. A preview of mail, which runs no scripts, shows the sentence.
 *
 * @param assets what the build makes of client/
 */
export function pageOf(data: PageData, { script, style }: PageAssets = pageAssets()): string {
  const policy = `default-src 'none'; style-src '${hash(style)}'; script-src '${hash(script)}'; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>Integrations report</title>
<style>${style}</style>
</head>
<body>
<main id="page">
<noscript>
<h1>Integrations report</h1>
<p>${data.sentence}, ${data.at}</p>
<p>Open this file in a browser that runs scripts to see them.</p>
</noscript>
</main>
<script type="application/json" id="data">${inert(data)}</script>
<script>${script}</script>
</body>
</html>
`
}

const hash = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`

/** JSON in which nothing ends an element of HTML, or begins a comment. */
const inert = (data: PageData) =>
  JSON.stringify(data).replace(
    /[<\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

import { readdirSync, readFileSync } from 'node:fs'

/** A fenced block with its info string. */
const fence = /^```(.*)\n([\s\S]*?)^```\n/gm

/** A fenced block of a document. */
export interface Block {
  /** What stands behind the fence, as in `sh` or `sh not-run`. */
  readonly info: string
  readonly text: string
  /** The block that follows at once, as the output follows a command. */
  readonly next?: Block | undefined
}

/** A document that people read. */
export interface Document {
  readonly file: string
  readonly text: string
  /** The text without its fenced blocks. */
  readonly prose: string
  readonly blocks: readonly Block[]
}

/** Every document that a person has written; the reference is made by `npm run docs`. */
export const documents: readonly Document[] = [
  ...readdirSync('.'),
  ...readdirSync('docs').map((file) => `docs/${file}`),
]
  .filter((file) => file.endsWith('.md') && file !== 'docs/reference.md')
  .map((file) => {
    const text = readFileSync(file, 'utf8')
    return { file, text, prose: text.replace(fence, ''), blocks: blocksOf(text) }
  })

/** The document of a file. */
export function document(file: string): Document {
  const found = documents.find((one) => one.file === file)
  if (!found) throw new Error(`there is no document ${file}`)
  return found
}

function blocksOf(text: string): Block[] {
  const found = [...text.matchAll(fence)].map(({ 0: all, 1: info = '', 2: body = '', index }) => ({
    info,
    text: body,
    start: index,
    end: index + all.length,
  }))
  // A blank line stands between a command and its output.
  return found.map((block, index) => ({
    ...block,
    next: found[index + 1]?.start === block.end + 1 ? found[index + 1] : undefined,
  }))
}

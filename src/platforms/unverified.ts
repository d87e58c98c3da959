/**
 * Single texts in bodies whose signature was not checked yet: a stranger's body may hold a million values, which would take
 * a second to make.
 *
 * @module
 */
import { jsonOf } from '../json.ts'

/** What is wanted of a value: its text, under this path; or of an object or array, by names and indices. */
type Wanted = string | Map<string, Wanted>

/** An object or array that a wanted text may stand in. */
interface Level {
  readonly wanted: Map<string, Wanted>
  /** Of the value that comes next; undefined in an object. */
  index: number | undefined
}

/**
 * Finds the texts at some paths of JSON documents, such as `team.id` and `authorizations.0.team_id`. The rest is passed over,
 * and may not be JSON. A name that is written with escapes is another name.
 *
 * @returns a function that gives the texts of a document, by their paths
 */
export function textsAt(paths: readonly string[]): (json: Uint8Array) => Map<string, string> {
  const tree = treeOf(paths)
  return (json) => textsIn(json, tree)
}

function textsIn(json: Uint8Array, tree: Wanted): Map<string, string> {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength)
  const characters = bytes.toString('latin1')
  const found = new Map<string, string>()
  const levels: Level[] = []
  /** How many objects and arrays are open that nothing is wanted of. */
  let passed = 0
  let wanted: Wanted | undefined = tree
  for (let at = 0; at < characters.length; at++) {
    const level = levels.at(-1)
    switch (characters[at]) {
      case '"': {
        const end = endOfText(characters, at)
        if (passed === 0 && level?.index === undefined && isName(characters, end))
          wanted = level?.wanted.get(characters.slice(at + 1, end))
        else if (passed === 0 && typeof wanted === 'string')
          found.set(wanted, unquoted(bytes.subarray(at, end + 1).toString()))
        at = end
        break
      }
      case '{':
      case '[': {
        if (passed > 0 || !(wanted instanceof Map)) passed++
        else {
          const isArray = characters[at] === '['
          levels.push({ wanted, index: isArray ? 0 : undefined })
          wanted = isArray ? wanted.get('0') : undefined
        }
        break
      }
      case '}':
      case ']':
        if (passed > 0) passed--
        else levels.pop()
        wanted = undefined
        break
      case ',':
        if (passed > 0) break
        wanted = level?.index === undefined ? undefined : level.wanted.get(String(++level.index))
    }
  }
  return found
}

function treeOf(paths: readonly string[]): Map<string, Wanted> {
  const tree = new Map<string, Wanted>()
  for (const path of paths) {
    const steps = path.split('.')
    const last = steps.pop() ?? ''
    let level = tree
    for (const step of steps) {
      const next = level.get(step)
      const deeper = next instanceof Map ? next : new Map<string, Wanted>()
      level.set(step, deeper)
      level = deeper
    }
    level.set(last, path)
  }
  return tree
}

/** Where the quote is that ends a text. */
function endOfText(characters: string, start: number): number {
  for (let end = start; ; ) {
    end = characters.indexOf('"', end + 1)
    if (end < 0) return characters.length
    let backslashes = 0
    while (characters[end - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return end
  }
}

function isName(characters: string, end: number): boolean {
  let next = end + 1
  while (' \n\r\t'.includes(characters[next] ?? '.')) next++
  return characters[next] === ':'
}

/** The value of a text in JSON; empty for what is none. */
function unquoted(json: string): string {
  const value = jsonOf(json)
  return typeof value === 'string' ? value : ''
}

/** A field of a form, the last of its name. A name that is written with escapes is another name. */
export function formField(form: string, name: string): string | undefined {
  const later = form.lastIndexOf(`&${name}=`)
  if (later < 0 && !form.startsWith(`${name}=`)) return undefined
  const end = form.indexOf('&', later + 1)
  return new URLSearchParams(form.slice(later + 1, end < 0 ? undefined : end)).get(name) ?? undefined
}

import { Secret } from '../../secret.ts'

/** A secret that a stored one may have been meant to be. */
export interface Meant<S> {
  readonly stored: S
  /** Completes "signed with the stored secret …". */
  readonly how: string
  readonly value: Secret
}

const edits: readonly (readonly [how: string, edit: (text: string) => string])[] = [
  ['without white space around it', (text) => text.trim()],
  ['without its quotes', (text) => text.replace(/^\s*(["'`“”„‘’])(.*)["'`“”‘’]\s*$/s, '$2')],
  [
    'without the name before it',
    (text) => text.replace(/^\s*(?:export\s+|set\s+)?\w+\s*[=:]\s*(["'`]?)(.*)\1\s*$/s, '$2'),
  ],
  ['without the word before it', (text) => text.replace(/^\s*(?:Bearer|Basic|Token)\s+/i, '')],
  ['without the characters that cannot be seen', (text) => text.replace(/[\p{C}\u00a0]/gu, '')],
  ['and a newline', (text) => `${text}\n`],
  ['and CR and LF', (text) => `${text}\r\n`],
  ['in lower case', (text) => text.toLowerCase()],
  ['in upper case', (text) => text.toUpperCase()],
  ['decoded from Base64', (text) => (/^[\w+/-]+=*$/.test(text) ? Buffer.from(text, 'base64').toString() : text)],
  ['encoded as Base64', (text) => Buffer.from(text).toString('base64')],
  [
    'decoded from a URL',
    (text) => new URLSearchParams(`a=${text.replaceAll('+', '%2B').replaceAll('&', '%26')}`).get('a') ?? text,
  ],
  ['with its escapes written out', (text) => text.replace(/\\(["'\\/$])/g, '$1')],
]

/** The secrets that stored ones may have been meant to be: mistakes of copying, the commonest first. */
export function* meant<S extends { readonly value: Secret }>(secrets: readonly S[]): Generator<Meant<S>> {
  for (const stored of secrets) {
    const text = stored.value.reveal()
    for (const [how, edit] of edits) {
      const edited = edit(text)
      if (edited !== text && edited !== '') yield { stored, how, value: new Secret(edited) }
    }
  }
}

/** Texts of several messages: commands to type, whose references are as they were typed, or ids. @module */
import { shellWord } from '../errors.ts'
import { flagOf, type SecretField } from '../integration.ts'

/** Lists the versions of an integration's secrets. */
export const secretsCommand = (ref: string): string => `integrations secrets list ${shellWord(ref)}`

/** Stores new values for secrets. */
export const rotateCommand = (ref: string, ...fields: readonly SecretField[]): string =>
  ['integrations rotate', shellWord(ref), '--field', ...fields.map(flagOf)].join(' ')

/** What to do when an integration changed meanwhile. */
export const checkAndRetry = (ref: string): string =>
  `check what changed with integrations show ${shellWord(ref)}, and try again`

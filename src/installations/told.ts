/** Errors and warnings in the words of the library: those of the operations name flags of the command. @module */
import { IntegrationsError } from '../errors.ts'

/** What flags are here that are no option of the same name. */
const named: readonly (readonly [flag: RegExp, option: string])[] = [
  [/--grace 24h/g, 'graceMs: 86400000'],
  [/--grace 0/g, 'graceMs: 0'],
  [/--grace/g, 'graceMs'],
  [/--upsert/g, 'ifExists: "update"'],
  [/--if-missing/g, 'ifExists: "keep"'],
  [/--force-shape/g, 'forceShape: true'],
  [/--end-previous/g, 'endPrevious: true'],
]

/** A text with options in place of flags; in a command to type, flags stay. */
export function inOptions(text: string): string {
  const command = text.search(/\bintegrations [a-z]/)
  const prose = command < 0 ? text : text.slice(0, command)
  return (
    named
      .reduce((words, [flag, option]) => words.replaceAll(flag, option), prose)
      .replace(/--([a-z]+(?:-[a-z]+)*?)(?:-stdin)?(?![\w-])/g, (_, flag: string) => camelCase(flag)) +
    text.slice(prose.length)
  )
}

const camelCase = (flag: string) => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** What the application gets of an error: no cause, since a driver's own error may quote the row. */
export function told(error: unknown): IntegrationsError {
  if (error instanceof IntegrationsError) {
    const { code, message, hint, committed, details } = error
    return new IntegrationsError({ code, message: inOptions(message), hint: inOptions(hint), committed, details })
  }
  const isError = error instanceof Error
  const bug = new IntegrationsError({
    code: 'BUG',
    message: `something unexpected went wrong (${isError ? error.name : typeof error})`,
    hint: 'report the stack of this error',
  })
  // The message of the other may hold a value, and stands before the frames.
  const frames = isError ? (error.stack ?? '').split('\n').filter((line) => /^ +at /.test(line)) : []
  return Object.assign(bug, { stack: [`${bug.name}: ${bug.message}`, ...frames].join('\n') })
}

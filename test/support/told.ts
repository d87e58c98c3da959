/** What stderr holds with `-o json`: an object on a line for each. */
const lines = (level: 'info' | 'warning', messages: readonly string[]): string =>
  messages.map((message) => `${JSON.stringify({ level, message })}\n`).join('')

/** Notes, with `-o json`. */
export const notes = (...messages: string[]): string => lines('info', messages)

/** Warnings, with `-o json`. */
export const warnings = (...messages: string[]): string => lines('warning', messages)

/** What to type next, with `-o json`. */
export const next = (...commands: string[]): string => `${JSON.stringify({ level: 'info', next: commands })}\n`

/** An error, with `-o json`. */
export const failed = (error: object): string => `${JSON.stringify({ level: 'error', error })}\n`

import pg from 'pg'
import { quoted } from '../../../errors.ts'

/**
 * Has the text of an error end with what refused a statement, in whatever language the server speaks: Prisma's adapter
 * keeps no more than the text. Nothing else of it is shown, which may hold values.
 *
 * @throws the error
 */
export function nameRefuser(error: unknown): never {
  if (error instanceof pg.DatabaseError) {
    const { table, constraint, where } = error
    // The last is the function of the trigger; others were called by it.
    const [, trigger] =
      [...(where ?? '').matchAll(/^PL\/pgSQL function (?:.*\.)?("(?:[^"]|"")+"|\w+)\(\)/gm)].at(-1) ?? []
    const names = [
      trigger ? `the trigger function ${quoted(trigger)}` : constraint && `the constraint ${quoted(constraint)}`,
      table && `the table ${quoted(table)}`,
    ].filter(Boolean)
    if (names.length > 0) error.message += `\nrefused by ${names.join(' of ')}`
  }
  throw error
}

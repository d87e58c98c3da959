import type { Target } from './events.ts'

/** Which columns of which rows a change has written, so that the log takes from the row these alone. */
export class WrittenColumns {
  readonly #columns = new Map<string, Set<string>>()

  /** Keeps that columns of a row were written; one of another table has its name before it. */
  add(type: Target['type'], id: string, ...columns: readonly string[]): void {
    const key = `${type} ${id}`
    this.#columns.set(key, new Set([...(this.#columns.get(key) ?? []), ...columns]))
  }

  /** The columns that were written of a row. */
  of(type: Target['type'], id: string): ReadonlySet<string> {
    return this.#columns.get(`${type} ${id}`) ?? new Set()
  }
}

/** Stands for every column of a row that was put in. */
export const wholeRow = '*'

/** How a version of a secret is named among the columns of its integration. */
export const versionColumn = (field: string, number: number): string => `${field} ${number}`

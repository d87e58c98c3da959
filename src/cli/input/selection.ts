import { Argument } from '@commander-js/extra-typings'
import type { IntegrationView } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import type { Store } from '../../store/store.ts'
import { allRows } from '../../store/tables/page.ts'
import { chosen, type FilterOptions } from './filters.ts'

/** References to integrations, as a command about several takes them. */
export const refsArgument = () =>
  new Argument('[ref...]', 'ids, workspace/name, unique names, or the first 6 or more characters of ids')

/** The integrations that are meant, each once. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS */
export async function selected(
  store: Store,
  refs: readonly string[],
  options: FilterOptions & { readonly all: boolean },
): Promise<IntegrationView[]> {
  const choice = await chosen(store, refs, options)
  if ('filter' in choice)
    return store.snapshot((db) => allRows(db.integrations.list(choice.filter, { sort: 'name', descending: false })))
  const found = new Map<string, IntegrationView>()
  for (const ref of choice.refs) {
    const one = await store.read((db) => findIntegration(db, ref))
    found.set(one.id, one)
  }
  return [...found.values()]
}

import { Argument } from '@commander-js/extra-typings'
import type { IntegrationView } from '../../integration.ts'
import { findIntegration } from '../../operations/find.ts'
import type { Store } from '../../store/store.ts'
import { chosen } from './filters.ts'

/** References to integrations, as a command about several takes them. */
export const refsArgument = () =>
  new Argument('[ref...]', 'ids, workspace/name, unique names, or the first 6 or more characters of ids')

/** The integrations that are meant, each once. @throws BAD_INPUT, NOT_FOUND, AMBIGUOUS */
export async function selected(
  store: Store,
  refs: readonly string[],
  options: { readonly all: boolean } & object,
): Promise<IntegrationView[]> {
  const choice = await chosen(store, refs, options)
  const found = new Map<string, IntegrationView>()
  const add = async (some: readonly IntegrationView[]) => {
    for (const one of some) found.set(one.id, one)
  }
  if ('refs' in choice) for (const ref of refs) await add([await store.read((db) => findIntegration(db, ref))])
  else await store.snapshot((db) => db.integrations.list(choice.filter, { sort: 'name', descending: false }, add))
  return [...found.values()]
}

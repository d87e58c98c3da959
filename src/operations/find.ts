import { distance } from 'fastest-levenshtein'
import { refuseDamage } from '../damage.ts'
import { IntegrationsError, notFound, quoted } from '../errors.ts'
import { type IntegrationView, isStorable, refOf, type User, type Workspace } from '../integration.ts'
import type { Reader, Store } from '../store/store.ts'
import type { IntegrationFilter } from '../store/tables/integration-filter.ts'
import type { ListReader } from '../store/tables/page.ts'
import { operandWord } from './texts.ts'

const shortestIdPrefix = 6
/** How many of the items that a reference may stand for an error names. */
export const candidatesShown = 10
const namesCompared = 1000
const maxAudited = 1000

/** What stands for one item: what a person typed, or an id alone, which is never taken for the name of another. */
export type Ref = string | { readonly id: string }

/** A reference as text, for messages and hints. */
export const refText = (ref: Ref): string => (typeof ref === 'string' ? ref : ref.id)

/**
 * The integration that a reference stands for: an exact id, else `workspace/name`, else a unique name, each of these two also
 * with `@platform` behind it, else a unique id prefix of at least 6 characters, else a name in other case.
 *
 * @param options `damagedToo`: also one with columns other than its id that cannot be read, to replace what they hold
 * @throws NOT_FOUND with similar names, AMBIGUOUS with the candidates, DATABASE_INVALID
 */
export async function findIntegration(db: Reader, given: Ref, { damagedToo = false } = {}): Promise<IntegrationView> {
  const ref = refText(given)
  if (!isStorable(ref)) throw noSuch('integration', ref)
  const { match } = db.integrations
  const limit = candidatesShown + 1
  const [, value = ref, platform] = /^(.+)@(\w+)$/.exec(ref) ?? []
  const ofPlatform = { value, platform: platform?.toLowerCase() }
  const byId = () => match({ by: 'id', value: ref }, 1)
  const others = [
    () => match({ by: 'path', value: ref }, limit),
    () => match({ by: 'name', value: ref }, limit),
    async () => (platform === undefined ? [] : match({ by: 'path', ...ofPlatform }, limit)),
    async () => (platform === undefined ? [] : match({ by: 'name', ...ofPlatform }, limit)),
    async () => (mayBeginId(ref) ? match({ by: 'idPrefix', value: ref }, limit) : []),
    () => match({ by: 'path', anyCase: true, ...ofPlatform }, limit),
    () => match({ by: 'name', anyCase: true, ...ofPlatform }, limit),
  ]
  for (const attempt of typeof given === 'string' ? [byId, ...others] : [byId]) {
    const [found, ...more] = await attempt()
    if (found && more.length === 0) {
      if (!damagedToo || found.damage?.includes('id')) refuseDamage(found)
      return found
    }
    if (found) throw ambiguous('integration', ref, namesOf([found, ...more]))
  }
  if (typeof given !== 'string') throw noSuch('integration', ref)
  throw noSuch('integration', ref, near(ref, await db.integrations.names(namesCompared)))
}

/** What names each of several integrations alone: the shortest that does. */
function namesOf(found: readonly IntegrationView[]): Candidate[] {
  const isUnique = (text: string, of: (one: IntegrationView) => string) =>
    found.length <= candidatesShown && found.filter((one) => of(one) === text).length === 1
  const onPlatform = (one: IntegrationView) => `${refOf(one)}@${one.platform}`
  return found.map((one) => {
    const { id, name, workspace, platform } = one
    const path = [refOf, onPlatform].map((of) => [of(one), of] as const).find(([text, of]) => isUnique(text, of))?.[0]
    return { ref: path ?? id, about: path ? undefined : onPlatform(one), facts: { id, name, workspace, platform } }
  })
}

/** An integration without its config, of which many can be held. */
export const withoutConfig = (one: IntegrationView): IntegrationView => ({ ...one, config: null })

/** A choice of integrations: by references, or by a filter. */
export type Chosen =
  | { readonly kind: 'refs'; readonly refs: readonly string[] }
  | {
      readonly kind: 'filter'
      readonly filter: IntegrationFilter
      /** Reads those that the filter leaves; absent: as the store does. It may need a snapshot. */
      readonly from?: ((db: Reader) => ListReader<IntegrationFilter, IntegrationView>) | undefined
    }

/**
 * The chosen integrations, some at a time: in the order of their references, each once, or by workspace and name. Their configs are left
 * out, which may be long: who needs one reads the integration again.
 *
 * @throws NOT_FOUND, AMBIGUOUS for a reference
 */
export async function* readChosen(db: Reader, chosen: Chosen): AsyncGenerator<readonly IntegrationView[]> {
  if (chosen.kind === 'filter') {
    const integrations = chosen.from?.(db) ?? db.integrations
    for await (const some of integrations.list(chosen.filter, { sort: 'workspace', descending: false }))
      yield some.map(withoutConfig)
    return
  }
  const found = new Map<string, IntegrationView>()
  for (const ref of chosen.refs) {
    const one = await findIntegration(db, ref)
    found.set(one.id, withoutConfig(one))
  }
  yield [...found.values()]
}

/** What is taken of each of the chosen integrations, in the order of `readChosen`. @throws NOT_FOUND, AMBIGUOUS for a reference */
export const findChosen = <T>(store: Store, chosen: Chosen, take: (one: IntegrationView) => T): Promise<T[]> =>
  store.snapshot(async (db) => {
    const taken: T[] = []
    for await (const some of readChosen(db, chosen)) for (const one of some) taken.push(take(one))
    return taken
  })

/** The workspace with this id, else with this name, else with an id that begins so. @throws NOT_FOUND, AMBIGUOUS */
export async function findWorkspace(db: Reader, ref: Ref, { damagedToo = false } = {}): Promise<Workspace> {
  if (typeof ref !== 'string') return workspaceById(db, ref.id)
  const found = await workspaceOf(db, ref)
  if (!damagedToo || found.damage?.includes('id')) refuseDamage(found)
  return found
}

/** The workspace with this id. @throws NOT_FOUND */
export async function workspaceById(db: Reader, id: string): Promise<Workspace> {
  const [found] = isStorable(id) ? await db.workspaces.match({ by: 'id', value: id }, 1) : []
  if (!found) throw noSuch('workspace', id)
  refuseDamage(found)
  return found
}

async function workspaceOf(db: Reader, ref: string): Promise<Workspace> {
  const tries = isStorable(ref)
    ? (['id', 'name', ...(mayBeginId(ref) ? (['idPrefix'] as const) : []), 'nameInAnyCase'] as const)
    : []
  for (const by of tries) {
    const [found, ...others] = await db.workspaces.match({ by, value: ref }, by === 'id' ? 1 : candidatesShown + 1)
    if (found && others.length === 0) return found
    if (found)
      throw ambiguous(
        'workspace',
        ref,
        [found, ...others].map(({ id, name, integrations }) => ({
          ref: id,
          about: `${name}, ${integrations} integrations`,
          facts: { id, name },
        })),
      )
  }
  throw noSuch('workspace', ref)
}

/** The user with this id or e-mail address, else with an id that begins so. @throws NOT_FOUND, AMBIGUOUS */
export async function findUser(db: Reader, given: Ref): Promise<User> {
  const ref = refText(given)
  const limit = candidatesShown + 1
  const isMeant = (user: User) => typeof given === 'string' || user.id === ref
  const matching = async () => (await db.users.match(ref)).filter(isMeant)
  const others = [
    async () => (mayBeginId(ref) ? db.users.beginningWith(ref, limit) : []),
    () => db.users.withEmailInAnyCase(ref, limit),
  ]
  let found: User[] = []
  const tries = typeof given === 'string' ? [matching, ...others] : [matching]
  for (const attempt of isStorable(ref) ? tries : []) if (found.length === 0) found = await attempt()
  const [user, ...more] = found
  if (user === undefined) throw noSuch('user', ref)
  if (more.length > 0)
    throw ambiguous(
      'user',
      ref,
      found.map(({ id, email }) => ({ ref: id, about: email, facts: { id, email } })),
    )
  refuseDamage(user)
  return user
}

/** Whether a reference may be the beginning of an id, as tables show it. */
export const mayBeginId = (ref: string): boolean => isStorable(ref) && [...ref].length >= shortestIdPrefix

/**
 * The ids of all integrations, workspaces, users and keys that a reference stands for, or stood for when the audit log
 * recorded it. An exact id goes first, then names, then the first 6 or more characters of an id.
 *
 * @throws NOT_FOUND
 */
export async function findAudited(db: Reader, ref: string): Promise<string[]> {
  const { integrations, workspaces, users, audit } = db
  const idsOf = (found: readonly { readonly id: string }[]) => found.map(({ id }) => id)
  const tries = [
    async () => [
      ...(await audit.targets({ by: 'id', value: ref })),
      ...idsOf(await integrations.match({ by: 'id', value: ref }, 1)),
      ...idsOf(await workspaces.match({ by: 'id', value: ref }, 1)),
    ],
    async () => [
      ...(await audit.targets({ by: 'name', value: ref })),
      ...idsOf(await integrations.match({ by: 'path', value: ref }, maxAudited)),
      ...idsOf(await integrations.match({ by: 'name', value: ref }, maxAudited)),
      ...idsOf(await workspaces.match({ by: 'name', value: ref }, maxAudited)),
      ...idsOf(await users.match(ref)),
    ],
    async () =>
      !mayBeginId(ref)
        ? []
        : [
            ...(await audit.targets({ by: 'idPrefix', value: ref })),
            ...idsOf(await integrations.match({ by: 'idPrefix', value: ref }, maxAudited)),
            ...idsOf(await workspaces.match({ by: 'idPrefix', value: ref }, maxAudited)),
            ...idsOf(await users.beginningWith(ref, maxAudited)),
          ],
  ]
  if (isStorable(ref))
    for (const attempt of tries) {
      const found = await attempt()
      if (found.length > 0) return [...new Set(found)]
    }
  throw notFound(`the database and the audit log have no item named ${quoted(ref)}`, 'integrations audit list')
}

function near(ref: string, names: readonly { id: string; name: string; workspace: string }[]): string[] {
  const parts = ref.toLowerCase().split('/')
  const name = parts.pop() ?? ''
  const workspace = parts.join('/')
  const far = (candidate: { id: string; name: string; workspace: string }): number => {
    if (candidate.id.startsWith(ref) || candidate.name.toLowerCase().includes(name)) return 0
    const away = distance(candidate.name.toLowerCase(), name)
    return away <= Math.max(1, name.length / 3) ? away : Number.POSITIVE_INFINITY
  }
  return names
    .map((candidate) => ({
      ref: refOf(candidate),
      far: far(candidate) + (workspace === '' ? 0 : distance(candidate.workspace.toLowerCase(), workspace)),
    }))
    .filter((candidate) => candidate.far <= Math.max(2, ref.length / 2))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map((candidate) => candidate.ref)
}

/** @param candidates similar names */
export const noSuch = (
  what: 'integration' | 'workspace' | 'user' | 'app',
  ref: string,
  candidates: readonly string[] = [],
) => {
  const list = what === 'integration' ? 'integrations list' : `integrations ${what}s list`
  return notFound(
    `there is no ${what} ${quoted(ref)}`,
    candidates.length > 0 ? `did you mean ${candidates.map(operandWord).join(' or ')}? See ${list}` : list,
  )
}

/** One of several things that a reference may stand for. */
export interface Candidate {
  /** What names it alone. */
  readonly ref: string
  /** What tells it apart, where that does not. */
  readonly about?: string | undefined
  /** What machines are told of it. */
  readonly facts: { readonly [field: string]: string }
}

/** @param candidates of which one was meant */
export function ambiguous(what: string, ref: string, candidates: readonly Candidate[]): IntegrationsError {
  const shown = candidates.slice(0, candidatesShown)
  const more = candidates.length > shown.length ? ' and others' : ''
  const words = shown.map(({ ref, about }) =>
    about === undefined ? operandWord(ref) : `${operandWord(ref)} (${about})`,
  )
  return new IntegrationsError({
    code: 'AMBIGUOUS',
    message: `several ${what}s are named ${quoted(ref)}`,
    hint: `use one of: ${words.join(', ')}${more}`,
    details: { candidates: shown.map(({ facts }) => ({ ...facts })) },
  })
}

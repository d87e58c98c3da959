import { Argument, type Command, InvalidArgumentError, Option, type OptionValues } from '@commander-js/extra-typings'
import { instantOf } from '../../brands.ts'
import { badInput } from '../../errors.ts'
import { type Chosen, findUser, findWorkspace } from '../../operations/find.ts'
import { checkTagKey } from '../../operations/integrations/labels.ts'
import type { IntegrationCode } from '../../operations/report/finding.ts'
import { platformById, platforms, requiredFields } from '../../platforms/platforms.ts'
import type { Reader, Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import type { Context } from '../context.ts'
import { each, withText } from './arguments.ts'
import { findingFilter } from './finding-code.ts'
import { duration } from './time.ts'

const expiries = ['never', 'dated', 'unknown', 'none'] as const

/** What the options of `withFilters` are parsed to. */
export interface FilterOptions {
  readonly workspace?: string | undefined
  readonly platform?: string | undefined
  readonly active?: true | undefined
  readonly inactive?: true | undefined
  readonly name?: string | undefined
  readonly exactName?: string | undefined
  readonly createdBy?: string | undefined
  /** false: nobody is named. */
  readonly owner?: string | boolean | undefined
  readonly tag?: readonly string[] | undefined
  readonly expiring?: number | undefined
  readonly expired?: true | undefined
  readonly expiry?: (typeof expiries)[number] | undefined
  readonly stale?: number | undefined
  readonly neverUsed?: true | undefined
  readonly missingSecret?: true | undefined
  readonly finding?: readonly IntegrationCode[] | undefined
}

/** References to integrations, as a command about several takes them. */
export const refsArgument = () =>
  new Argument('[ref...]', 'ids, workspace/name, unique names, or the first 6 or more characters of ids')

/** Adds the options that filter integrations. `expiring` and `finding`: not for a command that has an option of that name. */
export const withFilters = <A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
  { expiring = true, finding = true } = {},
) => {
  const owners = new Set<string>()
  for (const flag of ['owner', 'no-owner'])
    command.on(`option:${flag}`, () => {
      if (owners.add(flag).size > 1) throw badInput('--owner and --no-owner are both given', 'keep one of the two')
    })
  const scoped = command
    .addOption(new Option('--workspace <workspace>', 'in this workspace (id or name)'))
    .addOption(new Option('--platform <platform>', 'of this platform'))
    .addOption(
      new Option(
        '--active',
        'active integrations; an integration that was never enabled or disabled counts as active',
      ).conflicts('inactive'),
    )
    .addOption(new Option('--inactive', 'inactive integrations'))
    .addOption(new Option('--name <text>', withText('the name')))
    .addOption(new Option('--exact-name <name>', 'whose whole name this is').conflicts('name'))
    .addOption(new Option('--created-by <user>', 'created by this user (id or e-mail address)'))
    .addOption(new Option('--owner <owner>', 'with this owner').argParser(ownerOf))
    .addOption(new Option('--no-owner', 'without an owner'))
    .addOption(
      new Option(
        '--tag <tag>',
        'with this tag: key=value, or key alone for any value; may be given several times, and all must match',
      ).argParser(each(tagFilter)),
    )
  if (expiring)
    scoped.addOption(
      new Option(
        '--expiring <duration>',
        'whose access token expires within this time, has expired, or has an unknown expiry',
      ).argParser(duration),
    )
  if (finding) scoped.addOption(findingFilter())
  return scoped
    .addOption(
      new Option('--expired', 'whose access token has expired; prints on stderr how many have an unknown expiry'),
    )
    .addOption(
      new Option(
        '--expiry <state>',
        'by the expiry of the access token: never, dated, unknown, or none for no access token',
      ).choices(expiries),
    )
    .addOption(new Option('--stale <duration>', 'not used for this long, or never used').argParser(duration))
    .addOption(new Option('--never-used', 'never used'))
    .addOption(new Option('--missing-secret', 'without a secret that the platform needs, or possibly missing it'))
}

/** @throws InvalidArgumentError */
function ownerOf(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('pass --no-owner')
  return text
}

/** A tag to look for, as it was typed: `key=value`, or `key` alone. @throws BAD_INPUT for a key that no tag has */
export function tagFilter(text: string): string {
  checkTagKey(tagOf(text).key)
  return text
}

function tagOf(text: string): NonNullable<IntegrationFilter['tags']>[number] {
  const at = text.indexOf('=')
  return at === -1 ? { key: text } : { key: text.slice(0, at), value: text.slice(at + 1) }
}

/**
 * The integrations that parsed options mean; a filter without conditions when there are none.
 *
 * @throws NOT_FOUND (workspace, user), AMBIGUOUS, BAD_INPUT for an unknown platform
 */
export async function filterOf(store: Store, given: FilterOptions): Promise<IntegrationFilter> {
  const now = Date.now()
  const at = (milliseconds: number) => instantOf(now + milliseconds)
  const { workspace, createdBy, owner, tag, name } = given
  const platform = given.platform === undefined ? undefined : await platformOf(store, given.platform)
  return {
    ...(workspace === undefined ? {} : { workspaceId: (await store.read((db) => findWorkspace(db, workspace))).id }),
    ...(createdBy === undefined ? {} : { createdBy: (await store.read((db) => findUser(db, createdBy))).id }),
    ...(platform === undefined ? {} : { platform }),
    ...(typeof owner === 'string' ? { owner } : owner === false ? { owner: null } : {}),
    ...(tag === undefined ? {} : { tags: tag.map(tagOf) }),
    ...(name === undefined ? {} : { nameContains: name }),
    ...(given.exactName === undefined ? {} : { name: given.exactName }),
    ...(given.active ? { active: true } : given.inactive ? { active: false } : {}),
    ...(given.expiring === undefined ? {} : { expiringBefore: at(given.expiring) }),
    ...(given.expired ? { expiredBefore: at(0) } : {}),
    ...(given.expiry === undefined ? {} : { expiry: given.expiry }),
    ...(given.stale === undefined ? {} : { unusedSince: at(-given.stale) }),
    ...(given.neverUsed ? { neverUsed: true } : {}),
    ...(given.missingSecret ? { missingOneOf: requiredSecrets() } : {}),
  }
}

/** The id of a platform in any case, as it is where integrations have one that this version does not know. @throws BAD_INPUT */
const platformOf = async (store: Store, platform: string): Promise<string> =>
  (await store.read((db) => db.integrations.count({ platform }))) > 0
    ? platform
    : platformById(platform.toLowerCase()).id

/** What reads the integrations with one of the findings that are asked for; undefined where none are. */
export async function readerOf({ finding: codes }: FilterOptions) {
  if (!codes) return undefined
  // What other lists do without is loaded here.
  const { withFindings } = await import('../../operations/report/with-findings.ts')
  return (db: Reader) => withFindings(db, codes)
}

/** For a filter of expired tokens, tells people how many others have an unknown expiry. */
export async function noteUnknownExpiry({ output }: Context, store: Store, which: Chosen): Promise<void> {
  if (which.kind !== 'filter' || which.filter.expiredBefore === undefined) return
  const { from, filter } = which
  const { expiredBefore: _, ...others } = filter
  const count = (db: Reader) => (from?.(db) ?? db.integrations).count({ ...others, expiry: 'unknown' })
  const unknown = await (from ? store.snapshot(count) : store.read(count))
  if (unknown > 0) output.note(`${unknown} more have an unknown expiry: integrations list --expiry unknown`)
}

/**
 * The integrations that a command is for: those of its references, of its filters, or all.
 *
 * @throws BAD_INPUT for neither references nor filters, or for both, and what `filterOf` throws
 */
export async function chosen(
  store: Store,
  refs: readonly string[],
  options: FilterOptions & { readonly all: boolean },
): Promise<Chosen> {
  const filter = await filterOf(store, options)
  const from = await readerOf(options)
  checkChoice(refs, options.all, Object.keys(filter).length > 0 || from !== undefined)
  return refs.length > 0 ? { kind: 'refs', refs } : { kind: 'filter', filter, from }
}

/** Refuses integrations that are given in two ways, or not at all; `filtered`: undefined for a command without filters. @throws BAD_INPUT */
export function checkChoice(refs: readonly string[], all: boolean, filtered?: boolean): void {
  const [other, others] = filtered ? ['filter', 'filters'] : ['--all', '--all']
  if (refs.length > 0 && (filtered || all))
    throw badInput(`integrations are given both by reference and by ${other}`, `pass references or ${others}, not both`)
  if (refs.length > 0 || filtered || all) return
  const ways = filtered === undefined ? 'or pass --all' : 'pass --all, or pass a filter such as --platform slack'
  throw badInput('no integrations are given', `name integrations, ${ways}`)
}

const requiredSecrets = () => Object.fromEntries(platforms.map((platform) => [platform.id, requiredFields(platform)]))

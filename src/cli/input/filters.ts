import { type CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import type { SecretField } from '../../integration.ts'
import { type Chosen, findUser, findWorkspace } from '../../operations/find.ts'
import { platformById, platforms } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import type { IntegrationFilter } from '../../store/tables/integration-filter.ts'
import { duration } from './time.ts'

interface FilterOptions {
  readonly workspace?: string
  readonly platform?: string
  readonly active?: boolean
  readonly inactive?: boolean
  readonly name?: string
  readonly createdBy?: string
  readonly expiring?: number
  readonly expired?: boolean
  readonly expiry: boolean
  readonly stale?: number
  readonly neverUsed?: boolean
  readonly missingSecret?: boolean
}

/**
 * Adds the options that say which integrations are meant.
 *
 * @param expiring whether `--expiring` is one of them; false for a command that has an option of that name
 */
export function addFilters(command: CommandUnknownOpts, { expiring = true } = {}): void {
  command
    .addOption(new Option('--workspace <workspace>', 'in this workspace (id or name)'))
    .addOption(new Option('--platform <platform>', 'of this platform'))
    .addOption(
      new Option('--active', 'active ones; one that was never switched either way is active').conflicts('inactive'),
    )
    .addOption(new Option('--inactive', 'inactive ones'))
    .addOption(new Option('--name <text>', 'with this text in the name, taken literally, ASCII case ignored'))
    .addOption(new Option('--created-by <user>', 'created by this user (id or e-mail address)'))
  if (expiring)
    command.addOption(
      new Option(
        '--expiring <duration>',
        'whose token expires within this time, has expired, or has an unknown expiry',
      ).argParser(duration),
    )
  command
    .addOption(new Option('--expired', 'whose token has ended; says on stderr how many ends are unknown'))
    .addOption(
      new Option(
        '--no-expiry',
        'without a date at which a token ends: it never does, nobody knows, or there is no token',
      ),
    )
    .addOption(new Option('--stale <duration>', 'not used for this long, or never').argParser(duration))
    .addOption(new Option('--never-used', 'never used'))
    .addOption(
      new Option('--missing-secret', 'without a secret that the platform needs, or of which that is not known'),
    )
}

/**
 * The integrations that parsed options mean; a filter without conditions when there are none.
 *
 * @throws NOT_FOUND (workspace, user), AMBIGUOUS, BAD_INPUT for a platform that nobody knows
 */
export async function filterOf(store: Store, options: object): Promise<IntegrationFilter> {
  const given = options as FilterOptions
  const now = Date.now()
  const at = (milliseconds: number) => new Date(now + milliseconds).toISOString()
  const { workspace, createdBy, name, platform } = given
  // The application may have platforms that this version does not know.
  if (platform !== undefined && !(await store.read((db) => db.integrations.count({ platform })))) platformById(platform)
  return {
    ...(workspace === undefined ? {} : { workspaceId: (await store.read((db) => findWorkspace(db, workspace))).id }),
    ...(createdBy === undefined ? {} : { createdBy: (await store.read((db) => findUser(db, createdBy))).id }),
    ...(platform === undefined ? {} : { platform }),
    ...(name === undefined ? {} : { nameContains: name }),
    ...(given.active ? { active: true } : given.inactive ? { active: false } : {}),
    ...(given.expiring === undefined ? {} : { expiringBefore: at(given.expiring) }),
    ...(given.expired ? { expiredBefore: at(0) } : {}),
    ...(given.expiry ? {} : { noExpiry: true }),
    ...(given.stale === undefined ? {} : { unusedSince: at(-given.stale) }),
    ...(given.neverUsed ? { neverUsed: true } : {}),
    ...(given.missingSecret ? { missingOneOf: requiredSecrets() } : {}),
  }
}

/** Says, where a filter is for tokens that have ended, of how many others nobody knows when they do. @returns undefined for none */
export async function unknownEnds(store: Store, filter: IntegrationFilter): Promise<string | undefined> {
  const { expiredBefore, ...others } = filter
  if (expiredBefore === undefined) return undefined
  const unknown = await store.read((db) => db.integrations.count({ ...others, unknownExpiry: true }))
  return unknown > 0 ? `of ${unknown} more, nobody knows when the token ends: integrations list --no-expiry` : undefined
}

/**
 * The integrations that a command is for: those of its references, of its filters, or all.
 *
 * @throws BAD_INPUT when nobody said which, or both ways, and what `filterOf` throws
 */
export async function chosen(
  store: Store,
  refs: readonly string[],
  options: { readonly all: boolean } & object,
): Promise<Chosen> {
  const filter = await filterOf(store, options)
  const filtered = Object.keys(filter).length > 0
  if (refs.length > 0 && (filtered || options.all))
    throw badInput('integrations were named, and chosen by options too', 'leave out one or the other')
  if (refs.length > 0) return { refs }
  if (!filtered && !options.all)
    throw badInput('it was not said which integrations', 'name them, pass --all, or a filter such as --platform slack')
  return { filter }
}

const requiredSecrets = () =>
  Object.fromEntries(
    platforms.map(({ id, secrets }) => [
      id,
      Object.entries(secrets)
        .filter(([, { required }]) => required)
        .map(([field]) => field as SecretField),
    ]),
  )

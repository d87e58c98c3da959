import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import type { KeySource } from '../crypto/key-source.ts'
import { badInput, IntegrationsError } from '../errors.ts'
import { platformIds } from '../platforms/platforms.ts'
import type { Attribution } from '../store/audit/events.ts'
import { readableByOthers, requirePrivateDatabase, requirePrivateFolder } from '../store/database/private-files.ts'
import { type Database, defaultDatabase, hasPassword, parseDatabaseUrl } from '../store/database/url.ts'
import type { OpenOptions } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { userName } from '../user-name.ts'
import { WaitBudget } from '../wait-budget.ts'
import { headMemory } from './head-memory.ts'
import type { GlobalOptions, Host } from './host.ts'
import { type Prompts, prompts } from './input/prompts.ts'
import { keySource } from './key-source.ts'
import { Output } from './output/output.ts'
import { homeFolder, noHome } from './paths.ts'
import { processes } from './processes.ts'

/** What commands work with. Nothing is opened until it is asked for. */
export interface Context {
  readonly host: Host
  readonly output: Output
  readonly prompts: Prompts
  /** Set before a command runs. */
  options: GlobalOptions
  database(): Database
  /** Opens the database, once. `readOnly`: as `--read-only` does, so that the default database is neither made nor updated. */
  store(options?: { create?: boolean; readOnly?: boolean }): Promise<Store>
  storeOptions(create: boolean): OpenOptions
  /** What the program ends with when nothing fails: the exit code of a command that it ran. */
  exitCode: number
  /** Whether a change was committed. */
  changed(): boolean
  /** Where the keys of the database come from. */
  keys(): KeySource
  /** Who makes a change, in a word, as the versions of a secret keep it. */
  actor(): string
  /** The folder in which new tokens are kept until they are in the database. */
  spool(): string
  close(): Promise<void>
}

/** The id of the user; undefined on systems without any. */
const me = process.getuid?.()

/** The values of a setting that is off; any other value means on. */
const off = /^(|0|false)$/i

/** Starts a context on a host. */
export function createContext(host: Host): Context {
  let store: Promise<Store> | undefined
  let changed = false
  let keys: KeySource | undefined
  let waitBudget: WaitBudget | undefined
  // Prisma reads DEBUG too, and would print the values of statements.
  Object.assign(globalThis, { DEBUG: '' })
  const context: Context = {
    host,
    exitCode: 0,
    options: { input: true, pager: true, wait: 30_000, readOnly: false },
    output: new Output(host, () => context.options),
    prompts: prompts(host, () => context.options.input),
    database: () => chooseDatabase(host, context.options.database),
    storeOptions: (create) => {
      waitBudget ??= new WaitBudget(context.options.wait)
      return {
        database: requirePrivateDatabase(context.database(), me),
        me,
        processes,
        wait: context.options.wait,
        waitBudget,
        create,
        readOnly: context.options.readOnly || !off.test(host.env.INTEGRATIONS_READ_ONLY ?? ''),
        keys: context.keys(),
        platforms: platformIds,
        attribution: attribution(host, context.options),
        notice: (text) => context.output.note(text),
        onCommit: () => {
          changed = true
        },
        heads,
      }
    },
    changed: () => changed,
    store: ({ create = false, readOnly = false } = {}) => {
      store ??= import('../store/open.ts').then(async ({ openStore }) => {
        const given = context.storeOptions(create)
        const options = { ...given, readOnly: given.readOnly || readOnly }
        // SQLite makes files beside it once it is open, which go away with this process.
        const readable = readableByOthers(options.database, me)
        const opened = await openStore(options)
        if (readable && opened.adopted && opened.applicationWrites)
          context.output.warn(`${readable.message}: ${readable.hint}`)
        return opened
      })
      return store
    },
    keys: () => {
      keys ??= keySource(host)
      return keys
    },
    spool: () => {
      const home = homeFolder(host.env, 'state')
      if (!home) throw badInput(noHome('new tokens'), 'set HOME, or XDG_STATE_HOME')
      const spool = join(home, 'integrations', 'spool')
      for (const folder of [dirname(spool), spool]) requirePrivateFolder(folder, { setting: 'XDG_STATE_HOME', me })
      return spool
    },
    actor: () => {
      const { declaredAs, ciIdentity, osUser, host: name } = attribution(host, context.options)
      return declaredAs ? `as:${declaredAs}` : (ciIdentity ?? `os:${osUser}@${name}`)
    },
    close: async () => {
      await (await store?.catch(() => undefined))?.close()
      // Until the next change, keys in a file may have been joined by others; a command may ask a person for them.
      if (keys?.writable) keys = undefined
    },
  }
  const heads = headMemory(host.env, context.output)
  return context
}

function chooseDatabase({ env, cwd }: Host, flag: string | undefined): Database {
  if (flag !== undefined && hasPassword(flag))
    throw badInput(
      'the --database URL holds a password, which other users of this machine can read',
      'put the URL into DATABASE_URL, or the password into a password file (PGPASSFILE)',
    )
  const text = flag ?? env.DATABASE_URL
  if (text !== undefined && text !== '') return parseDatabaseUrl(text, { cwd: cwd(), env })
  if (flag === '') throw badInput('--database is empty', 'give a URL, or leave the flag out for the default database')
  const home = homeFolder(env, 'data')
  if (home) return defaultDatabase(home)
  throw new IntegrationsError({
    code: 'DATABASE_MISSING',
    message: noHome('a database'),
    hint: 'set HOME, or name a database with --database',
  })
}

function attribution({ env, pid }: Host, { as, reason }: GlobalOptions): Attribution {
  return {
    ciIdentity: ciIdentity(env),
    osUser: userName(me),
    host: hostname(),
    pid,
    declaredAs: as ?? null,
    reason: reason ?? null,
    programVersion: packageJson.version,
  }
}

function ciIdentity(env: NodeJS.ProcessEnv): string | null {
  return (
    (env.GITHUB_ACTIONS && `github:${env.GITHUB_ACTOR ?? ''}:${env.GITHUB_RUN_ID ?? ''}`) ||
    (env.GITLAB_CI && `gitlab:${env.GITLAB_USER_LOGIN ?? ''}:${env.CI_JOB_ID ?? ''}`) ||
    (env.BUILDKITE && `buildkite:${env.BUILDKITE_BUILD_CREATOR ?? ''}:${env.BUILDKITE_JOB_ID ?? ''}`) ||
    (env.CIRCLECI && `circleci:${env.CIRCLE_USERNAME ?? ''}:${env.CIRCLE_BUILD_NUM ?? ''}`) ||
    null
  )
}

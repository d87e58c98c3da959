import { parsePath, stringifyPath } from 'dot-prop'
import { badInput, IntegrationsError, shellWord } from '../../errors.ts'
import { type IntegrationConfig, type IntegrationView, type Json, refOf } from '../../integration.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Store } from '../../store/store.ts'
import { type Changed, type ChangeOptions, changeIntegration } from '../change.ts'
import { findIntegration } from '../find.ts'
import { checkConfig, isObject, parseConfig } from './document.ts'
import { deepest, parseJson } from './json.ts'

/** An integration with the text of its config as it is stored. */
export interface StoredConfig {
  readonly integration: IntegrationView
  readonly text: string | null
}

/** What changing a config did: the config before and after, and what looks odd about the new one. */
export interface ChangedConfig extends Changed {
  readonly from: IntegrationConfig | null
  readonly to: IntegrationConfig | null
  readonly warnings: readonly string[]
}

/** Reads an integration with its config. @throws NOT_FOUND, AMBIGUOUS */
export const readConfig = (store: Store, ref: string): Promise<StoredConfig> =>
  store.read(async (db) => {
    const integration = await findIntegration(db, ref)
    return { integration, text: await db.integrations.configText(integration.id) }
  })

/**
 * The config that a stored text holds; null for none.
 *
 * @throws BAD_INPUT with the place, when the application stored something that would not survive a change
 */
export async function storedConfig(text: string | null): Promise<IntegrationConfig | null> {
  // JSON's null is another way for an application to say that there is none.
  return text === null || text === 'null' ? null : parseConfig(text, 'the stored config')
}

/**
 * Changes an integration's config.
 *
 * @param edit gives the new config, from a copy of the present one or an empty one; null clears it
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, BAD_INPUT when the new config breaks the platform's schema
 */
export async function changeConfig(
  store: Store,
  ref: string,
  options: ChangeOptions,
  edit: (config: IntegrationConfig) => Json,
): Promise<ChangedConfig> {
  // Loaded before the transaction begins, which everybody else waits for.
  await Promise.all([import('jsonc-parser'), import('ajv/dist/2020.js'), import('fastest-levenshtein')])
  let from: IntegrationConfig | null = null
  let to: IntegrationConfig | null = null
  let warnings: string[] = []
  const changed = await changeIntegration(store, ref, options, async (tx, integration) => {
    from = await storedConfig(await tx.integrations.configText(integration.id))
    const edited = edit(structuredClone(from ?? {}))
    // Through text once more, so that every way to a config meets the same limits.
    to = edited === null ? null : await parseConfig(JSON.stringify(edited), 'the new config')
    const platform = findPlatform(integration.platform)
    warnings = to && platform ? await checkConfig(platform, to) : []
    if (same(from, to)) return undefined
    await tx.integrations.update(integration.id, { config: to })
    return { action: 'config.change', fields: ['config'] }
  })
  return { ...changed, from, to, warnings }
}

/**
 * Replaces the config that a person was shown by what they made of it.
 *
 * @throws CONFLICT when the integration changed since, whoever changed it
 */
export function replaceConfig(
  store: Store,
  { integration, config }: { readonly integration: IntegrationView; readonly config: IntegrationConfig },
  to: IntegrationConfig,
  dryRun: boolean,
): Promise<ChangedConfig> {
  return changeConfig(store, integration.id, { ifVersion: integration.version, dryRun }, (present) => {
    // An application raises no version.
    if (!same(present, config))
      throw new IntegrationsError({
        code: 'CONFLICT',
        message: `the config of ${refOf(integration)} was changed meanwhile`,
        hint: `look at it with integrations config get ${shellWord(integration.id)}, and try again`,
      })
    return to
  })
}

// No config and an empty one mean the same; the difference is not worth a change.
const same = (from: IntegrationConfig | null, to: IntegrationConfig | null) =>
  from === to || JSON.stringify(from ?? {}) === JSON.stringify(to)

/** The value at a dotted path, as in `slackChannels[0].name`. @throws NOT_FOUND when there is none, BAD_INPUT for a bad path */
export function valueAt(config: IntegrationConfig | null, path: string): Json {
  const value = readPath(path).reduce(child, config ?? {})
  if (value === undefined)
    throw new IntegrationsError({
      code: 'NOT_FOUND',
      message: `the config has nothing at ${path}`,
      hint: 'integrations config get <ref>',
    })
  return value
}

/** A path with a JSON value to put there. */
export interface Assignment {
  readonly path: string
  readonly value: Json
}

/** Reads `path=value`. @throws BAD_INPUT when there is no `=`, or the value is not JSON */
export async function readAssignment(text: string): Promise<Assignment> {
  const [, path, value] = /^((?:\\.|[^\\=])*)=(.*)$/su.exec(text) ?? []
  if (path === undefined || value === undefined)
    throw badInput(`${JSON.stringify(text)} is not of the form path=value`, `as in '${text}="value"'`)
  readPath(path)
  // A word, or nothing: a shell has eaten the quotes, or nobody wrote any.
  if (!/^\s*[[{"]/.test(value) && !isJson(value))
    throw badInput(
      `the value of ${path} is not JSON`,
      `write text in double quotes, which the shell must leave alone: ${forShell(path, value)}`,
    )
  return { path, value: await parseJson(value, `the value of ${path}`) }
}

/** A config with values put at dotted paths. @throws BAD_INPUT for a path through what holds nothing, or past the end of an array */
export function withValues(config: IntegrationConfig, assignments: readonly Assignment[]): IntegrationConfig {
  for (const { path, value } of assignments) put(config, path, readPath(path), value)
  return config
}

function put(config: IntegrationConfig, path: string, keys: Keys, value: Json): void {
  let at: Json = config
  for (const [i, key] of keys.entries()) {
    const present = child(at, key)
    const where = i === 0 ? 'the config' : stringifyPath(keys.slice(0, i))
    if (
      Array.isArray(at) ? typeof key !== 'number' : !isObject(at) || (typeof key === 'number' && present === undefined)
    )
      throw badInput(
        `${path} leads nowhere: ${where} is not an ${typeof key === 'number' ? 'array' : 'object'}`,
        'see what is there with integrations config get <ref>',
      )
    if (Array.isArray(at) && Number(key) > at.length)
      throw badInput(`${path} would leave a gap: ${where} has length ${at.length}`, `the next index is ${at.length}`)
    const next: Json = i === keys.length - 1 ? value : (present ?? (typeof keys[i + 1] === 'number' ? [] : {}))
    if (Array.isArray(at)) at[Number(key)] = next
    else if (isObject(at)) at[key] = next
    at = next
  }
}

/** A config without what is at dotted paths; they all name places in the config as given, and leave no gap in an array. @throws BAD_INPUT */
export function withoutPaths(config: IntegrationConfig, paths: readonly string[]): IntegrationConfig {
  const arrays = new Set<Json[]>()
  for (const keys of paths.map(readPath)) {
    const parent = keys.slice(0, -1).reduce<Json | undefined>(child, config)
    const last = keys.at(-1)
    if (last === undefined || parent === undefined || child(parent, last) === undefined) continue
    Reflect.deleteProperty(parent as object, last)
    if (Array.isArray(parent)) arrays.add(parent)
  }
  for (const array of arrays) {
    // filter skips the holes.
    const kept = array.filter(() => true)
    array.length = 0
    for (const item of kept) array.push(item)
  }
  return config
}

/** A value after a JSON Merge Patch: null removes, objects merge, everything else replaces. https://www.rfc-editor.org/rfc/rfc7396 */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: IntegrationConfig = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(child(result, key) ?? null, value)
  }
  return result
}

type Keys = readonly (string | number)[]

function readPath(path: string): Keys {
  const refuse = () =>
    badInput(
      `${JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path)} is not a path`,
      'write it as in slackChannels[0].name, with \\. for a dot in a key',
    )
  // To the library, [] is a part of a name; here somebody left out the index.
  if (/(?<!\\)\[\]/.test(path)) throw refuse()
  let keys: Keys
  try {
    keys = parsePath(path)
  } catch {
    throw refuse()
  }
  // It gives no parts for one that leads to a prototype.
  if (keys.length === 0 || keys.length > deepest || keys.includes('')) throw refuse()
  return keys
}

/** What a value holds at a key of its own; undefined for nothing. */
function child(value: Json | undefined, key: string | number): Json | undefined {
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined
  return value !== undefined && isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** An assignment of a text as it is typed into a POSIX shell. */
function forShell(path: string, text: string): string {
  if (/^\w+$/.test(`${path}${text}`)) return `${path}=\\"${text}\\"`
  return `'${`${path}=${JSON.stringify(text)}`.replaceAll("'", `'\\''`)}'`
}

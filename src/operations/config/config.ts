import { parsePath, stringifyPath } from 'dot-prop'
import { badInput, conflict, notFound, quoted } from '../../errors.ts'
import { type IntegrationView, refOf } from '../../integration.ts'
import { isObject, type Json, type JsonObject, jsonOf } from '../../json.ts'
import { findPlatform } from '../../platforms/platforms.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { type Changed, type ChangeOptions, changeWithin, type Decision, type DryRun, findToChange } from '../change.ts'
import { findIntegration } from '../find.ts'
import { commandLine } from '../texts.ts'
import { checkConfig, parseConfig } from './document.ts'
import { maxDepth, parseJson } from './json.ts'

/** An integration with the text of its config as it is stored. */
export interface StoredConfig {
  readonly integration: IntegrationView
  readonly text: string | null
}

/** A change of a config: the config before and after, and warnings about the new one. */
export interface ChangedConfig extends Changed {
  readonly from: JsonObject | null
  readonly to: JsonObject | null
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
 * @throws BAD_INPUT with the place when the application stored a document that would not survive a change
 */
export const storedConfig = async (text: string | null): Promise<JsonObject | null> =>
  // An application may store JSON's null in place of NULL.
  text === null || text === 'null' ? null : parseConfig(text, 'the stored config')

/**
 * Changes an integration's config.
 *
 * @param edit returns the new config, given a copy of the current one or an empty one; null clears it
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, BAD_INPUT when the new config breaks the platform's schema
 */
export async function changeConfig(
  store: Store,
  { ref, ...options }: ChangeOptions & { readonly ref: string },
  edit: (config: JsonObject) => Json,
): Promise<ChangedConfig> {
  await loadConfigLibraries()
  const found = await findToChange(store, ref, { damagedToo: true })
  return store.mutate(
    (tx) => changeWithin(tx, { ...options, ...found }, (integration) => changeConfigWithin(tx, integration, edit)),
    options,
  )
}

/** Loads what a change of a config needs, before its transaction begins: while that runs, every other change waits. */
export const loadConfigLibraries = (): Promise<unknown> =>
  Promise.all([import('jsonc-parser'), import('ajv/dist/2020.js'), import('fastest-levenshtein')])

/** Changes a config within a transaction, as `changeConfig` does. */
export async function changeConfigWithin(
  tx: Transaction,
  { id, platform: platformId, version, damage }: IntegrationView,
  edit: (config: JsonObject) => Json,
): Promise<Decision<Pick<ChangedConfig, 'from' | 'to' | 'warnings'>>> {
  // One that cannot be read can be replaced.
  const spoilt = damage?.includes('config') ?? false
  const before = spoilt ? null : await tx.integrations.configText(id)
  const from = await storedConfig(before)
  const edited = edit(structuredClone(from ?? {}))
  // Through text once more, so that every way to a config meets the same limits.
  const to = edited === null ? null : await parseConfig(JSON.stringify(edited), 'the new config')
  const platform = findPlatform(platformId)
  const result = { from, to, warnings: to && platform ? await checkConfig(platform, to) : [] }
  if (!spoilt && same(from, to)) return { facts: undefined, result }
  await tx.integrations.update(id, { config: to })
  await tx.configRevisions.keep(id, { version: version + 1, before })
  return { facts: { action: 'config.change', fields: ['config'] }, result }
}

/**
 * Replaces a config that a person has edited.
 *
 * @throws CONFLICT when the integration or its config changed since they were read
 */
export function replaceConfig(
  store: Store,
  { integration, config, to }: { integration: IntegrationView; config: JsonObject; to: JsonObject },
  { dryRun }: DryRun,
): Promise<ChangedConfig> {
  return changeConfig(store, { ref: integration.id, ifVersion: integration.version, dryRun }, (present) => {
    // A change that the application makes does not raise the version.
    if (!same(present, config))
      throw conflict(
        `the config of ${refOf(integration)} was changed meanwhile`,
        `check it with ${commandLine('config get', [integration.id])}, and try again`,
      )
    return to
  })
}

// No config and an empty config mean the same.
const same = (from: JsonObject | null, to: JsonObject | null) =>
  from === to || JSON.stringify(from ?? {}) === JSON.stringify(to)

/** The value at a dotted path, as in `slackChannels[0].name`. @throws NOT_FOUND, BAD_INPUT for a malformed path */
export function valueAt(config: JsonObject | null, path: string): Json {
  const value = readPath(path).reduce(child, config ?? {})
  if (value === undefined) throw notFound(`the config has nothing at ${path}`, 'integrations config get <ref>')
  return value
}

/** A dotted path, and the JSON value to set there. */
export interface Assignment {
  readonly path: string
  readonly value: Json
  /** Whether the value is to be added to the array there, unless the array has the value. */
  readonly adds: boolean
}

/** Reads `path=value`, or `path+=value`. @throws BAD_INPUT when there is no `=`, or the value is not JSON */
export async function readAssignment(text: string): Promise<Assignment> {
  const [, path, plus, value] = /^((?:\\.|[^\\=])*?)(\+?)=(.*)$/su.exec(text) ?? []
  if (path === undefined || value === undefined)
    throw badInput(`${JSON.stringify(text)} is not of the form path=value`, `as in '${text}="value"'`)
  readPath(path)
  // A bare word: the shell removed the quotes, or there were none.
  if (!/^\s*[[{"]/.test(value) && jsonOf(value) === undefined)
    throw badInput(
      `the value of ${path} is not JSON`,
      `put text in double quotes that the shell does not remove: ${forShell(path, value)}`,
    )
  return { path, value: await parseJson(value, `the value of ${path}`), adds: plus === '+' }
}

/** A config with values set at dotted paths. @throws BAD_INPUT for a path through a plain value, or past the end of an array, and to add to what is no array */
export function withValues(config: JsonObject, assignments: readonly Assignment[]): JsonObject {
  for (const assignment of assignments) assignment.adds ? add(config, assignment) : put(config, assignment)
  return config
}

function add(config: JsonObject, { path, value }: Assignment): void {
  const present = readPath(path).reduce<Json | undefined>(child, config) ?? []
  if (!Array.isArray(present)) throw badInput(`${path} is not an array`, `replace the value with ${path}=…`)
  if (!present.some((one) => JSON.stringify(one) === JSON.stringify(value)))
    put(config, { path, value: [...present, value] })
}

function put(config: JsonObject, { path, value }: Pick<Assignment, 'path' | 'value'>): void {
  const keys = readPath(path)
  let at: Json = config
  for (const [i, key] of keys.entries()) {
    const present = child(at, key)
    const where = i === 0 ? 'the config' : stringifyPath(keys.slice(0, i))
    if (
      Array.isArray(at) ? typeof key !== 'number' : !isObject(at) || (typeof key === 'number' && present === undefined)
    )
      throw badInput(
        `${path} leads nowhere: ${where} is not an ${typeof key === 'number' ? 'array' : 'object'}`,
        'check the path with integrations config get <ref>',
      )
    if (Array.isArray(at) && Number(key) > at.length)
      throw badInput(`${path} would leave a gap: ${where} has length ${at.length}`, `the next index is ${at.length}`)
    const next: Json = i === keys.length - 1 ? value : (present ?? (typeof keys[i + 1] === 'number' ? [] : {}))
    if (Array.isArray(at)) at[Number(key)] = next
    else if (isObject(at)) at[key] = next
    at = next
  }
}

/** A config without the values at dotted paths. All paths refer to the config as given; arrays close their gaps. @throws BAD_INPUT */
export function withoutPaths(config: JsonObject, paths: readonly string[]): JsonObject {
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
  const result: JsonObject = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(child(result, key) ?? null, value)
  }
  return result
}

type Keys = readonly (string | number)[]

function readPath(path: string): Keys {
  const refuse = () =>
    badInput(`${quoted(path)} is not a path`, 'write it as in slackChannels[0].name, with \\. for a dot in a key')
  // The library takes [] for a part of a name; here the index is missing.
  if (/(?<!\\)\[\]/.test(path)) throw refuse()
  let keys: Keys
  try {
    keys = parsePath(path)
  } catch {
    throw refuse()
  }
  // The library returns no keys for a path that leads to a prototype.
  if (keys.length === 0 || keys.length > maxDepth || keys.includes('')) throw refuse()
  return keys
}

/** The value at an own key of another; undefined for none. */
function child(value: Json | undefined, key: string | number): Json | undefined {
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** An assignment of a text as it is typed into a POSIX shell. */
function forShell(path: string, text: string): string {
  if (/^\w+$/.test(`${path}${text}`)) return `${path}=\\"${text}\\"`
  return `'${`${path}=${JSON.stringify(text)}`.replaceAll("'", `'\\''`)}'`
}

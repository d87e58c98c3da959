import { deleteProperty, getProperty, hasProperty, parsePath, setProperty } from 'dot-prop'
import { badInput, IntegrationsError } from '../errors.ts'
import type { Integration, IntegrationConfig, Json } from '../integration.ts'
import { findPlatform } from '../platforms/platforms.ts'
import type { Store } from '../store/store.ts'
import { type ChangeOptions, type Changed, changeIntegration } from './change.ts'
import { checkConfig, isObject, parseConfig } from './config-document.ts'
import { findIntegration } from './find.ts'
import { sortKeys } from './json.ts'

/** An integration with its config as stored. */
export interface StoredConfig {
  readonly integration: Integration
  readonly config: IntegrationConfig | null
}

/**
 * Reads an integration's config from its stored text.
 *
 * @throws NOT_FOUND, AMBIGUOUS, BAD_INPUT when the application stored something that cannot be kept as it is
 */
export const readConfig = (store: Store, ref: string): Promise<StoredConfig> =>
  store.read(async (rows) => {
    const integration = await findIntegration(rows, ref)
    const text = await rows.integrations.configText(integration.id)
    return { integration, config: text === null ? null : await parseConfig(text, 'the stored config') }
  })

/**
 * Changes an integration's config.
 *
 * @param edit gives the new config; null clears it
 * @returns what changed, the config before and after, and what looks odd about the new one
 * @throws NOT_FOUND, AMBIGUOUS, CONFLICT, BAD_INPUT when the new config breaks the platform's schema
 */
export async function changeConfig(
  store: Store,
  ref: string,
  options: ChangeOptions,
  edit: (config: IntegrationConfig) => IntegrationConfig | null,
): Promise<Changed & { from: IntegrationConfig | null; to: IntegrationConfig | null; warnings: string[] }> {
  // Loaded before the transaction begins, which everybody else waits for.
  await Promise.all([import('jsonc-parser'), import('ajv/dist/2020.js'), import('fastest-levenshtein')])
  let from: IntegrationConfig | null = null
  let to: IntegrationConfig | null = null
  let warnings: string[] = []
  const changed = await changeIntegration(store, ref, options, async (rows, integration) => {
    const text = await rows.integrations.configText(integration.id)
    from = text === null ? null : await parseConfig(text, 'the stored config')
    const edited = edit(structuredClone(from ?? {}))
    // Through text once more, so that every way to a config meets the same limits.
    to = edited === null ? null : await parseConfig(JSON.stringify(sortKeys(edited)), 'the new config')
    const platform = findPlatform(integration.platform)
    warnings = to && platform ? await checkConfig(platform, to) : []
    if (JSON.stringify(from) === JSON.stringify(to)) return false
    await rows.integrations.update(integration.id, { config: to })
    return true
  })
  return { ...changed, from, to, warnings }
}

/** The value at a dotted path, as in `slackChannels[0].name`. @throws NOT_FOUND when there is none, BAD_INPUT for a bad path */
export function valueAt(config: IntegrationConfig | null, path: string): Json {
  checkPath(path)
  if (!hasProperty(config ?? {}, path)) throw new IntegrationsError('NOT_FOUND', `the config has nothing at ${path}`, 'see all of it with integrations config get <ref>')
  return getProperty(config ?? {}, path, null) as Json
}

/** A config with values put at dotted paths. @throws BAD_INPUT for a path that leads through something other than an object or array */
export function withValues(config: IntegrationConfig, values: readonly (readonly [path: string, value: Json])[]): IntegrationConfig {
  for (const [path, value] of values) {
    const keys = checkPath(path)
    requireContainers(config, keys, path)
    setProperty(config, path, value)
  }
  return config
}

/** A config without what is at dotted paths; an item of an array leaves no gap. @throws NOT_FOUND when there is nothing, BAD_INPUT */
export function withoutPaths(config: IntegrationConfig, paths: readonly string[]): IntegrationConfig {
  for (const path of paths) {
    const keys = checkPath(path)
    valueAt(config, path)
    const last = keys.at(-1)
    const parent = keys.length > 1 ? getProperty(config, keys.slice(0, -1)) : config
    if (Array.isArray(parent) && typeof last === 'number') parent.splice(last, 1)
    else deleteProperty(config, path)
  }
  return config
}

/** A config after a JSON Merge Patch: null removes, objects merge, everything else replaces. https://www.rfc-editor.org/rfc/rfc7396 */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: IntegrationConfig = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key] ?? null, value)
  }
  return result
}

function checkPath(path: string): readonly (string | number)[] {
  const refuse = () => badInput(`${JSON.stringify(path)} is not a path`, 'write it as in slackChannels[0].name, with \\. for a dot in a key')
  let keys: readonly (string | number)[]
  try {
    keys = parsePath(path)
  } catch {
    throw refuse()
  }
  if (keys.length === 0 || keys.some((key) => key === '')) throw refuse()
  return keys
}

function requireContainers(config: IntegrationConfig, keys: readonly (string | number)[], path: string): void {
  let at: Json | undefined = config
  for (const [i, key] of keys.entries()) {
    if (at === undefined) return
    const fits = typeof key === 'number' ? Array.isArray(at) : isObject(at)
    const where = keys.slice(0, i).join('.') || 'the config'
    if (!fits) throw badInput(`${path} leads nowhere: ${where} is not an ${typeof key === 'number' ? 'array' : 'object'}`, 'see what is there with integrations config get <ref>')
    if (Array.isArray(at) && typeof key === 'number' && key > at.length) throw badInput(`${path} would leave a gap: ${where} has ${at.length} items`, `the next index is ${at.length}`)
    at = Array.isArray(at) ? at[Number(key)] : (at as IntegrationConfig)[key]
  }
}

import type { ValidateFunction } from 'ajv/dist/2020.js'
import { stringifyPath } from 'dot-prop'
import { badInput, IntegrationsError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, sortKeys, stepsOf } from '../../json.ts'
import type { JsonSchema, Platform } from '../../platforms/platform.ts'
import { parseJson } from './json.ts'

/** Reads a config: a JSON object, whose keys come back in order. @throws BAD_INPUT with the place in the document */
export async function parseConfig(text: string, source: string): Promise<JsonObject> {
  const value = sortKeys(await parseJson(text, source))
  if (!isObject(value))
    throw badInput(
      `${source}, line 1, column 1: the document is not a JSON object`,
      `write an object, as in '{"slackEvents":["message"]}'`,
    )
  return value
}

/** A finding about a config, at a place in it. */
export interface ConfigFinding {
  /** A config with warnings alone can be stored. */
  readonly severity: 'error' | 'warning'
  /** As in `slackChannels[0].name`; empty for the document itself. */
  readonly path: string
  readonly message: string
}

/** The compiled schemas of platforms, by their ids: a report checks thousands of configs. */
const validators = new Map<string, ValidateFunction>()

/**
 * Compares a config with its platform's JSON Schema.
 *
 * @returns violations as errors; keys and event names that the schema does not know as warnings
 */
export async function inspectConfig(platform: Platform, config: JsonObject): Promise<ConfigFinding[]> {
  const [{ Ajv2020 }, { closest, distance }] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('fastest-levenshtein'),
  ])
  const validate =
    validators.get(platform.id) ??
    new Ajv2020({ allErrors: true, strict: false, validateFormats: false }).compile(platform.config)
  validators.set(platform.id, validate)
  validate(config)
  const errors = (validate.errors ?? []).map(
    ({ instancePath, message = 'does not match the schema', params }): ConfigFinding => {
      const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
      return { severity: 'error', path: stringifyPath(stepsOf(instancePath)), message: `${message}${allowed}` }
    },
  )
  const warnings = oddities(platform.config, config).map(({ path, value, known }): ConfigFinding => {
    const what = value === undefined ? '' : `${JSON.stringify(value)} `
    const word = value ?? String(path.at(-1))
    const nearest = closest(word, known)
    const advice =
      distance(word, nearest) <= 4
        ? `did you mean ${nearest}?`
        : known.length <= 10
          ? `known values: ${known.join(', ')}`
          : ''
    const message = `${what}is unknown${advice && ` (${advice})`} and will be kept`
    return { severity: 'warning', path: stringifyPath(path), message }
  })
  return [...errors, ...warnings]
}

/** Errors and warnings about a document that should be a platform's config; JSON's null clears a config. */
export async function inspectText(platform: Platform, text: string): Promise<ConfigFinding[]> {
  if (text.trim() === 'null') return []
  try {
    return await inspectConfig(platform, await parseConfig(text, 'the document'))
  } catch (error) {
    if (!(error instanceof IntegrationsError)) throw error
    return [{ severity: 'error', path: '', message: error.message }]
  }
}

/**
 * Refuses a config that breaks its platform's schema.
 *
 * @returns warnings, one sentence each
 * @throws BAD_INPUT
 */
export async function checkConfig(platform: Platform, config: JsonObject): Promise<string[]> {
  const findings = await inspectConfig(platform, config)
  const sentences = (severity: ConfigFinding['severity']) =>
    findings.filter((finding) => finding.severity === severity).map(({ path, message }) => `${path} ${message}`.trim())
  const errors = sentences('error')
  if (errors.length > 0)
    throw badInput(
      `the config does not match the schema of ${platform.title}: ${errors.join('; ')}`,
      schemaCommand(platform),
    )
  return sentences('warning')
}

/** The command that shows a platform's schema. */
export const schemaCommand = ({ id }: Platform): string => `integrations config schema ${id}`

/** A key or value that a schema allows but does not name: an unknown key, or a value unlike all examples. */
interface Oddity {
  readonly path: readonly (string | number)[]
  /** Absent for an unknown key. */
  readonly value?: string
  readonly known: readonly string[]
}

function oddities(schema: JsonSchema, value: Json, path: readonly (string | number)[] = []): Oddity[] {
  const { properties, items, examples } = schema as {
    properties?: { [key: string]: JsonSchema }
    items?: JsonSchema
    examples?: string[]
  }
  if (Array.isArray(value)) return items ? value.flatMap((item, i) => oddities(items, item, [...path, i])) : []
  if (typeof value === 'string') return examples && !examples.includes(value) ? [{ path, value, known: examples }] : []
  if (!isObject(value) || !properties) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined
    return property
      ? oddities(property, inner, [...path, key])
      : [{ path: [...path, key], known: Object.keys(properties) }]
  })
}

import { stringifyPath } from 'dot-prop'
import { badInput, IntegrationsError } from '../../errors.ts'
import { type IntegrationConfig, type Json, sortKeys } from '../../integration.ts'
import type { JsonSchema, Platform } from '../../platforms/platform.ts'
import { parseJson } from './json.ts'

/** Reads a config: a JSON object, whose keys come back in order. @throws BAD_INPUT with the place in the document */
export async function parseConfig(text: string, source: string): Promise<IntegrationConfig> {
  const value = sortKeys(await parseJson(text, source))
  if (!isObject(value))
    throw badInput(
      `${source}, line 1, column 1: this is not a JSON object`,
      `write it in braces, as in '{"slackEvents":["message"]}'`,
    )
  return value
}

/** A finding about a config, at a place in it. */
export interface ConfigFinding {
  /** A warning breaks nothing: the config can be stored. */
  readonly severity: 'error' | 'warning'
  /** As in `slackChannels[0].name`; empty for the document itself. */
  readonly path: string
  readonly message: string
}

/**
 * Compares a config with its platform's JSON Schema.
 *
 * @returns what breaks it, and what only looks odd: keys, and names of events, that the schema does not know
 */
export async function inspectConfig(platform: Platform, config: IntegrationConfig): Promise<ConfigFinding[]> {
  const [{ Ajv2020 }, { closest, distance }] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('fastest-levenshtein'),
  ])
  const validate = new Ajv2020({ allErrors: true, strict: false, validateFormats: false }).compile(platform.config)
  validate(config)
  const errors = (validate.errors ?? []).map(({ instancePath, message = 'does not fit', params }): ConfigFinding => {
    const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
    return { severity: 'error', path: stringifyPath(segments(instancePath)), message: `${message}${allowed}` }
  })
  const warnings = oddities(platform.config, config).map(({ path, value, known }): ConfigFinding => {
    const what = value === undefined ? '' : `${JSON.stringify(value)} `
    const word = value ?? String(path.at(-1))
    const nearest = closest(word, known)
    const advice =
      distance(word, nearest) <= 4
        ? `did you mean ${nearest}?`
        : known.length <= 10
          ? `known are ${known.join(', ')}`
          : ''
    const message = `${what}is not known${advice && ` (${advice})`} and is kept`
    return { severity: 'warning', path: stringifyPath(path), message }
  })
  return [...errors, ...warnings]
}

/** What is wrong or odd with a document that should be a platform's config; null, in JSON, is none. */
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
 * @returns warnings, as sentences
 * @throws BAD_INPUT
 */
export async function checkConfig(platform: Platform, config: IntegrationConfig): Promise<string[]> {
  const findings = await inspectConfig(platform, config)
  const sentences = (severity: ConfigFinding['severity']) =>
    findings.filter((finding) => finding.severity === severity).map(({ path, message }) => `${path} ${message}`.trim())
  const errors = sentences('error')
  if (errors.length > 0)
    throw badInput(
      `the config does not fit ${platform.title}: ${errors.join('; ')}`,
      `integrations config schema ${platform.id}`,
    )
  return sentences('warning')
}

/** Whether a value is a JSON object. */
export const isObject = (value: Json): value is IntegrationConfig =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Something that a schema does not name but allows: an unknown key, or a value unlike all examples. */
interface Oddity {
  readonly path: readonly (string | number)[]
  /** Absent when it is the key that is odd. */
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

/** The parts of a JSON pointer (RFC 6901). */
const segments = (pointer: string) =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))

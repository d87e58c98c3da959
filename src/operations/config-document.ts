import { badInput } from '../errors.ts'
import type { IntegrationConfig, Json } from '../integration.ts'
import type { JsonSchema, Platform } from '../platforms/platform.ts'
import { parseJson, sortKeys } from './json.ts'

/** Reads a config: a JSON object. @throws BAD_INPUT with the place in the document */
export async function parseConfig(text: string, source: string): Promise<IntegrationConfig> {
  const value = await parseJson(text, source)
  if (!isObject(value)) throw badInput(`${source} is not a JSON object`, `write it in braces, as in '{"slackEvents":["message"]}'`)
  return sortKeys(value) as IntegrationConfig
}

/** A finding about a config, at a place in it. */
export interface ConfigFinding {
  /** As in `slackChannels[0].name`; empty for the document itself. */
  readonly path: string
  readonly message: string
}

/**
 * Compares a config with its platform's JSON Schema.
 *
 * @returns what breaks it, and what only looks odd: keys that the schema does not name
 */
export async function inspectConfig(platform: Platform, config: Json): Promise<{ errors: ConfigFinding[]; warnings: ConfigFinding[] }> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const validate = new Ajv2020({ allErrors: true, strict: false, validateFormats: false }).compile(platform.config)
  const errors = validate(config)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message, params }) => ({
        path: dotted(instancePath),
        message: [message ?? 'does not fit', Array.isArray(params.allowedValues) ? params.allowedValues.join(', ') : ''].filter(Boolean).join(': '),
      }))
  return { errors, warnings: isObject(config) ? await unknownKeys(platform.config, config) : [] }
}

/**
 * Refuses a config that breaks its platform's schema.
 *
 * @returns warnings, as sentences
 * @throws BAD_INPUT
 */
export async function checkConfig(platform: Platform, config: IntegrationConfig): Promise<string[]> {
  const { errors, warnings } = await inspectConfig(platform, config)
  if (errors.length > 0) throw badInput(`the config does not fit ${platform.title}: ${errors.map(sentence).join('; ')}`, `integrations config schema ${platform.id}`)
  return warnings.map(sentence)
}

/** A finding as words. */
export const sentence = ({ path, message }: ConfigFinding): string => (path === '' ? message : `${path} ${message}`)

/** Whether a value is a JSON object. */
export const isObject = (value: Json): value is IntegrationConfig => typeof value === 'object' && value !== null && !Array.isArray(value)

async function unknownKeys(schema: Platform['config'], config: IntegrationConfig): Promise<ConfigFinding[]> {
  const known = Object.keys(schema.properties)
  const unknown = Object.keys(config).filter((key) => !known.includes(key))
  if (unknown.length === 0) return oddEvents(schema, config)
  const { closest, distance } = await import('fastest-levenshtein')
  const warnings = unknown.map((key) => {
    const nearest = closest(key, known)
    return { path: key, message: distance(key, nearest) <= 4 ? `is not known (did you mean ${nearest}?) and is kept` : `is not known (known are ${known.join(', ')}) and is kept` }
  })
  return [...warnings, ...(await oddEvents(schema, config))]
}

/** Strings that the schema's examples do not list; a list of events is never complete, so that is not an error. */
async function oddEvents(schema: Platform['config'], config: IntegrationConfig): Promise<ConfigFinding[]> {
  const findings: ConfigFinding[] = []
  for (const [key, property] of Object.entries(schema.properties)) {
    const examples = (property.items as JsonSchema | undefined)?.examples
    const values = config[key]
    if (!Array.isArray(examples) || !Array.isArray(values)) continue
    const { closest } = await import('fastest-levenshtein')
    for (const [i, value] of values.entries()) {
      if (typeof value === 'string' && !examples.includes(value))
        findings.push({ path: `${key}[${i}]`, message: `${JSON.stringify(value)} is not known (did you mean ${closest(value, examples)}?) and is kept` })
    }
  }
  return findings
}

/** A JSON pointer (RFC 6901) as a dotted path. */
const dotted = (pointer: string) =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part, i) => (/^\d+$/.test(part) ? `[${part}]` : i === 0 ? part : `.${part}`))
    .join('')

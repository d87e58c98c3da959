/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject

/** A JSON object, such as a config: a JSON Schema describes the keys of each platform, and unknown keys are kept. */
export type JsonObject = { [key: string]: Json }

/** Whether a value is a JSON object. */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value as an object; undefined for any other value. */
export const objectOf = (value: Json | undefined): JsonObject | undefined => (isObject(value) ? value : undefined)

/** The value of a JSON text; undefined for a text that is not JSON. */
export function jsonOf(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The steps of a JSON pointer. https://www.rfc-editor.org/rfc/rfc6901 */
export const stepsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))

/** JSON.parse accepts deeper nesting than JSON.stringify. */
const maxShownDepth = 1000

/** The same value with the keys of every object in order. @throws RangeError when it is nested too deeply to print */
export function sortKeys(value: Json, depth = 0): Json {
  if (depth > maxShownDepth) throw new RangeError('nested too deeply')
  if (Array.isArray(value)) return value.map((item) => sortKeys(item, depth + 1))
  if (!isObject(value)) return value
  const sorted: JsonObject = {}
  for (const key of Object.keys(value).sort()) sorted[key] = sortKeys(value[key] ?? null, depth + 1)
  return sorted
}

import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'

const ajv = new Ajv2020({ strict: true, formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ } })
ajv.addSchema(JSON.parse(readFileSync('schemas/report.schema.json', 'utf8')), 'report')

/** What is wrong with a whole report, or with one finding, by the schema that is published; an empty list: nothing. */
export function schemaProblems(value: unknown, part: 'report' | 'finding' = 'report'): unknown[] {
  ajv.validate(part === 'report' ? 'report' : 'report#/$defs/finding', value)
  return ajv.errors ?? []
}

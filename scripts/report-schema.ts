import { findingView } from '../src/cli/views/report.ts'
import { findingCodes, severities } from '../src/operations/report/finding.ts'

/** Where the schema is, in the repository and in the package. */
export const reportSchemaFile = 'schemas/report.schema.json'

/** What each field of a finding holds. */
const fields: Readonly<Record<string, object>> = {
  severity: {
    description: 'unknown: it cannot be told whether something is wrong, which never counts as fine',
    enum: severities,
  },
  code: {
    description: 'what was found; a later version may have more codes',
    oneOf: Object.entries(findingCodes).map(([code, [severity, meaning]]) => ({
      const: code,
      description: `${severity}: ${meaning}`,
    })),
  },
  integration: { description: 'as in Acme/support; null: the finding is about the database', type: ['string', 'null'] },
  id: { description: 'the id of the integration', type: ['string', 'null'] },
  platform: { description: 'the platform of the integration', type: ['string', 'null'] },
  owner: { description: 'who answers for the integration; null: no owner is named', type: ['string', 'null'] },
  since: {
    description: 'since when this is so, in UTC; null: that is not known',
    type: ['string', 'null'],
    format: 'date-time',
  },
  evidence: { description: 'what was seen', type: 'string' },
  next: { description: 'a command to type; null: no command helps', type: ['string', 'null'] },
}

/** The text of the JSON schema of what `report -o json` prints; a line of `report -o jsonl` is one of its items. */
export function reportSchema(): string {
  const names = findingView.columns.map(({ field }) => field)
  const properties = Object.fromEntries(names.map((name) => [name, fields[name] ?? true]))
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'integrations report -o json',
    description: 'An array of findings. Each line of -o jsonl is one of them (#/$defs/finding).',
    type: 'array',
    items: { $ref: '#/$defs/finding' },
    $defs: { finding: { type: 'object', properties, required: names } },
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

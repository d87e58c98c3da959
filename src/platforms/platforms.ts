import { badInput, quoted } from '../errors.ts'
import { entriesOf, type IntegrationView, type SecretField } from '../integration.ts'
import { github } from './github.ts'
import type { Platform } from './platform.ts'
import { pylon } from './pylon.ts'
import { slack } from './slack.ts'

/** Every platform, in the order of help and prompts. */
export const platforms = [slack, pylon, github] as const satisfies readonly Platform[]

/** The ids of the platforms. Of this value and the next one, published types hold the type alone, not all of `platforms`. */
export const platformIds = platforms.map(({ id }) => id)

/** The id of a known platform. */
export type IntegrationPlatform = (typeof platformIds)[number]

type Known = (typeof platforms)[number]
type WithTenant = Extract<Known, { readonly webhooks: { readonly tenant: object } }>

/** The ids of the platforms whose webhooks say which integration they are for; those of the others are told by the address. */
export const tenantPlatformIds = platforms
  .filter((platform: Known): platform is WithTenant => 'tenant' in platform.webhooks)
  .map(({ id }) => id)

/** The platform with this id; undefined for a platform that this version does not know. */
export const findPlatform = (id: string): (Platform & { readonly id: IntegrationPlatform }) | undefined =>
  platforms.find((platform) => platform.id === id)

/** The platform with this id, in any case. @throws BAD_INPUT for a platform that this version does not know */
export function platformById(id: string): Platform & { readonly id: IntegrationPlatform } {
  const platform = findPlatform(id.toLowerCase())
  if (!platform) throw badInput(`there is no platform ${quoted(id)}`, `the platforms are ${platformIds.join(', ')}`)
  return platform
}

/** The platform of an integration. @throws BAD_INPUT when this version does not know it */
export function platformOf(integration: Pick<IntegrationView, 'platform'>): Platform {
  const platform = findPlatform(integration.platform)
  if (!platform)
    throw badInput(
      `this version does not know the platform ${JSON.stringify(integration.platform)}`,
      'upgrade integrations',
    )
  return platform
}

/** The secrets that a platform needs. */
export const requiredFields = ({ secrets }: Platform): SecretField[] =>
  entriesOf(secrets).flatMap(([field, { required }]) => (required ? [field] : []))

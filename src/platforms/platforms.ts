import { github } from './github.ts'
import type { Platform } from './platform.ts'
import { pylon } from './pylon.ts'
import { slack } from './slack.ts'

/** Every platform, in the order that help and prompts show. */
export const platforms = [slack, pylon, github] as const satisfies readonly Platform[]

/** The id of a known platform. */
export type IntegrationPlatform = (typeof platforms)[number]['id']

/** The platform with this id; undefined for one that only the application knows. */
export const findPlatform = (id: string): (Platform & { readonly id: IntegrationPlatform }) | undefined =>
  platforms.find((platform) => platform.id === id)

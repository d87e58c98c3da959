import type { PlatformColumn, SecretField } from '../integration.ts'

/**
 * What a value should look like. `refuse` is for what the platform documents (`--force` accepts it all the same),
 * `warn` for what is only customary.
 */
export interface Shape {
  readonly pattern: RegExp
  /** Completes "the <label> should …", and never quotes the value. */
  readonly should: string
  readonly otherwise: 'refuse' | 'warn'
}

/** A secret as one platform understands it. */
export interface SecretDefinition {
  readonly label: string
  /** What programs call it in their environment, after the platform's name and an underscore. */
  readonly variable: string
  /** Whether an integration is incomplete without it. */
  readonly required: boolean
  /** `platform`: only the platform can make it. `either`: the platform accepts a value made here, or that is not known. */
  readonly issuer: 'platform' | 'either'
  /** Where a new one is issued or entered. */
  readonly page: string
  readonly shapes: readonly Shape[]
}

/** One of a platform's own identifiers. */
export interface IdDefinition {
  readonly label: string
  readonly shape?: Shape
}

/** The part of JSON Schema (2020-12) that platform definitions use. It is plain data. */
export type JsonSchema = { readonly [key: string]: unknown }

/** Everything this tool knows of a platform. Flags, prompts, help, completion and checks derive from it. */
export interface Platform {
  readonly id: string
  readonly title: string
  readonly secrets: { readonly [F in SecretField]?: SecretDefinition }
  readonly ids: { readonly [C in PlatformColumn]?: IdDefinition }
  readonly config: JsonSchema & { readonly properties: { readonly [key: string]: JsonSchema } }
}

/** Keeps the literal type of `id`, from which `IntegrationPlatform` derives. */
export const definePlatform = <const P extends Platform>(platform: P): P => platform

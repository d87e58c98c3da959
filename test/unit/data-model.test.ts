import type { FromSchema } from 'json-schema-to-ts'
import { expectTypeOf, test } from 'vitest'
import type { platforms } from '../../src/platforms/platforms.ts'
import type {
  Integration,
  IntegrationConfig,
  IntegrationPlatform,
  NewIntegration,
} from '../../src/receiver/receiver.ts'
import type { Integration as Row } from '../../src/store/generated/postgresql/client.ts'
import type { IntegrationUncheckedCreateInput as Insert } from '../../src/store/generated/postgresql/models/Integration.ts'

// `npm run check` fails where a type here is another; at run time there is nothing to see.

/** A type without the keys that nothing is known of. */
type Known<T> = T extends readonly (infer Item)[]
  ? Known<Item>[]
  : T extends object
    ? { [K in keyof T as string extends K ? never : K]: Known<T[K]> }
    : T

type Platform = (typeof platforms)[number]

test('a row is what the models say, with a known platform and a typed config', () => {
  expectTypeOf<Omit<Integration, 'platform' | 'config'>>().toEqualTypeOf<Omit<Row, 'platform' | 'config'>>()
  expectTypeOf<Integration['config']>().toEqualTypeOf<IntegrationConfig | null>()
  expectTypeOf<Integration>().toExtend<Row>()
})

test('what can be left out of a new row is what the models say', () => {
  type Optional<T> = { [K in keyof T as object extends Pick<T, K> ? K : never]: true }
  expectTypeOf<keyof Optional<NewIntegration>>().toEqualTypeOf<keyof Optional<Insert> & keyof Row>()
})

test('the platforms are those of the list', () => {
  expectTypeOf<IntegrationPlatform>().toEqualTypeOf<Platform['id']>()
})

test('the config of each platform is what its schema says, and its keys begin with its name', () => {
  type Written = Known<IntegrationConfig>
  expectTypeOf<{
    [P in IntegrationPlatform]: {
      [K in keyof Written as K extends `${P}${Capitalize<string>}` ? K : never]: Written[K]
    }
  }>().toEqualTypeOf<{ [P in Platform as P['id']]: Known<FromSchema<P['config']>> }>()
  expectTypeOf<Exclude<keyof Written, `${IntegrationPlatform}${Capitalize<string>}`>>().toBeNever()
})

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg'
import type { Provider } from '../database/url.ts'

/** Prisma's schema engine. */
export type SchemaEngine = bindings.SchemaEngine

// Node has it; its type declarations for this line of versions do not.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>
}

/**
 * Starts Prisma's schema engine from its WebAssembly build, on one connection that the caller holds a transaction on.
 *
 * The engine must not be given an adapter of Prisma's as it comes: those send the statements of a script one by one
 * through a pool and take no lock, so that two processes or a crash leave half a migration behind.
 *
 * @param models Prisma schema text; a datasource block is enough to apply migrations.
 */
export async function startSchemaEngine(
  provider: Provider,
  adapter: SqlDriverAdapter,
  models = '',
): Promise<SchemaEngine> {
  await load()
  const noShadow = () => Promise.reject(new Error('the schema engine asked for a shadow database'))
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: adapter.provider,
    adapterName: adapter.adapterName,
    connect: () => Promise.resolve(adapter),
    connectToShadowDb: noShadow,
  })
  const datamodel = `datasource db {\n  provider = "${provider}"\n}\n${models}`
  return bindings.SchemaEngine.new({ datamodels: [['schema.prisma', datamodel]] }, () => {}, factory)
}

// The engine waits for a lock with a timer of 10 s that it never clears, for which the program would stay.
const idleTimers = Object.fromEntries(
  Object.keys(bindings)
    .filter((name) => name.startsWith('__wbg_setTimeout_'))
    .map((name) => [name, (work: () => void, milliseconds: number) => setTimeout(work, milliseconds >>> 0).unref()]),
)

/** There is one module of bindings in a process, whatever else is there twice: bound anew, it would lead the timers of engines astray. */
const bound = bindings.__wbg_set_wasm as typeof bindings.__wbg_set_wasm & { loading?: Promise<void> }

function load(): Promise<void> {
  bound.loading ??= (async () => {
    const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm')
    const bytes = await readFile(join(entry, '..', 'schema_engine_bg.wasm'))
    // Without it a panic would end as a failure to report one.
    Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: () => {} } })
    const { instance } = await WebAssembly.instantiate(bytes, {
      './schema_engine_bg.js': { ...bindings, ...idleTimers },
    })
    bindings.__wbg_set_wasm(instance.exports)
    ;(instance.exports.__wbindgen_start as () => void)()
  })()
  return bound.loading
}

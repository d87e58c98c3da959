import { defineConfig } from 'prisma/config'

// The CLI looks for a native schema engine before any command, and downloads one where it finds none.
// Nothing here needs it (migrations run in its WebAssembly build), so any existing file will do.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

const provider = process.env.INTEGRATIONS_PRISMA_PROVIDER ?? 'sqlite'

export default defineConfig({
  schema: `prisma/${provider}`,
  migrations: { path: `prisma/migrations/${provider}` },
})

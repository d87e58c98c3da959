import { defineConfig } from 'rolldown'

export default defineConfig({
  input: { main: 'src/cli/main.ts' },
  platform: 'node',
  // Native code, and WebAssembly that is read as a file.
  external: [/^libsql$/, /^@prisma\/schema-engine-wasm/],
  // The client that speaks http and WebSocket as well is three times the size; only files are opened here.
  // jsonc-parser's "main" is a UMD build that cannot be bundled.
  resolve: { alias: { '@libsql/client': '@libsql/client/sqlite3', 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' } },
  // Node starts CommonJS faster than modules: by 6 ms of 20 for --help, by 10 of 50 for list.
  output: {
    dir: 'dist',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name]-[hash].cjs',
    minify: true,
    cleanDir: true,
  },
})

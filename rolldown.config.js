import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, defineConfig } from 'rolldown'
import { thirdParty } from './scripts/third-party.js'

/**
 * What these packages do as they load takes longer than a read, for nothing that is needed here: a file of a package,
 * what stands there, and what takes its place.
 */
const lighter = [
  // Only commands that are programs of their own are started with it: 2 ms.
  [
    /\/commander\/lib\/command\.js$/,
    "const childProcess = require('node:child_process')",
    'const childProcess = undefined',
  ],
  // A Response tells whether this is a Cloudflare worker, and Node reads its whole HTTP client to make one: 20 ms.
  [/\/pg\/lib\/stream\.js$/, "typeof Response === 'function'", 'false'],
  // Cryptography is for passwords that the server does not want as they are.
  [
    /\/pg\/lib\/crypto\/utils\.js$/,
    /const nodeCrypto = [\s\S]*const subtleCrypto = webCrypto\.subtle/,
    (text) =>
      text
        .replace("require('crypto')", "late(() => process.getBuiltinModule('node:crypto'))")
        .replace('nodeCrypto.webcrypto || globalThis.crypto', 'late(() => nodeCrypto.webcrypto)')
        .replace('webCrypto.subtle', 'late(() => webCrypto.subtle)')
        .concat(`
    function late(load) {
      return new Proxy({}, {
        get(_, name) {
          const loaded = load()
          return typeof loaded[name] === 'function' ? loaded[name].bind(loaded) : loaded[name]
        },
      })
    }`),
  ],
  // Colours of messages that are never printed: Node makes the stream of stdout to tell whether it is a terminal, 3 ms.
  [/\/@prisma\/debug\/dist\/index\.mjs$/, 'process.stdout && process.stdout.isTTY', 'false'],
  // A diagnostic report tells the C library from another: 5 ms. npm has installed the one that fits. The binary is where
  // libsql finds it, whose folder is found without what Node loads to read the "exports" of a package, 1 ms, or else
  // beside the bundle of an application. No bundler knows by these words that anything is required, and would look for
  // the binaries of all systems.
  [
    /\/libsql\/index\.js$/,
    /const \{ load, currentTarget \}[\s\S]*?\n}\n/,
    `const { existsSync, realpathSync } = require('node:fs')
    const { createRequire } = require('node:module')
    function requireNative() {
      const here = createRequire(__filename)
      const installed = here.resolve.paths('libsql').map((folder) => folder + '/libsql/index.js').find(existsSync)
      const load = installed ? createRequire(realpathSync(installed)) : here
      const name = '@libsql/' + process.platform + '-' + process.arch
      const attempts = []
      for (const system of ['-gnu', '-musl', '-gnueabihf', '-musleabihf', '-msvc', '']) {
        try {
          return load(name + system)
        } catch (error) {
          attempts.push(error)
        }
      }
      throw attempts.find(({ code }) => code !== 'MODULE_NOT_FOUND') ?? attempts[0]
    }
    `,
  ],
  // Its native variant is not here: bundlers of applications warn of that, and a variable would ask for it.
  [/\/pg\/lib\/index\.js$/, /if \(forceNative\) \{[\s\S]*$/, 'module.exports = new PG(clientConstructor)\n'],
  // A global variable of ours in an application, for nothing.
  [
    /\/generated\/(sqlite|postgresql)\/client\.ts$/,
    "globalThis['__dirname'] = path.dirname(fileURLToPath(import.meta.url))",
    '',
  ],
  // Node 20 optimizes a function of WebAssembly once it has run for a while, here half of the query compiler for the
  // one query of most commands: 80 ms of 260. From Node 22 on it waits for 13,000,000. It also validates all functions
  // before the first is called: 4 ms. The flags go back at once, because V8 takes nothing that was compiled before with
  // other flags.
  [
    /\/generated\/(sqlite|postgresql)\/internal\/class\.ts$/,
    'return new WebAssembly.Module(wasmArray)',
    `const { setFlagsFromString } = process.getBuiltinModule('node:v8')
    const set = (...flags) => process.version.startsWith('v20.') && flags.forEach((flag) => setFlagsFromString(flag))
    set('--wasm-tiering-budget=13000000', '--wasm-lazy-validation')
    try {
      return new WebAssembly.Module(wasmArray)
    } finally {
      set('--wasm-tiering-budget=1800000', '--no-wasm-lazy-validation')
    }`,
  ],
]

const lighterStart = {
  name: 'lighter-start',
  transform(code, id) {
    const [, there, instead] = lighter.find(([file]) => file.test(id)) ?? []
    if (there === undefined) return
    const changed = code.replace(there, instead)
    if (changed === code) throw new Error(`${id} has changed: see what it costs at start now`)
    return changed
  },
}

/** Writes down what `--help` prints, so that it need not be made again each time. */
const readyHelp = {
  name: 'ready-help',
  writeBundle({ dir }) {
    if (dir !== 'dist') return
    const env = { NODE_DISABLE_COMPILE_CACHE: '1' }
    writeFileSync('dist/help.txt', execFileSync(process.execPath, ['bin/integrations.js', '--help'], { env }))
  },
}

/** Writes the migrations down: an application that bundles the library has no folder of ours beside its bundle. */
const migrationsInside = {
  name: 'migrations-inside',
  load(id) {
    if (!id.endsWith('/src/store/migration-files.ts')) return
    const providers = ['sqlite', 'postgresql'].map((provider) => [
      provider,
      migrationsIn(`prisma/migrations/${provider}`),
    ])
    return `const migrations = ${JSON.stringify(Object.fromEntries(providers))}
      export const migrationFiles = (provider) => migrations[provider]`
  },
}

const migrationsIn = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, statements: readFileSync(join(folder, name, 'migration.sql'), 'utf8') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))

/** Writes down the script and the style of the page of a report: its script is bundled for a browser. */
const pageInside = {
  name: 'page-inside',
  async load(id) {
    if (!id.endsWith('/src/cli/report/page/assets.ts')) return
    const folder = join(dirname(id), 'client')
    const { output } = await build({
      input: join(folder, 'client.ts'),
      platform: 'browser',
      write: false,
      output: { format: 'iife', minify: true },
    })
    const assets = { script: output[0].code.trim(), style: readFileSync(join(folder, 'style.css'), 'utf8') }
    if (/<\/|<!--/.test(assets.script + assets.style))
      throw new Error('the script or the style of the page ends itself')
    return `export const pageAssets = () => (${JSON.stringify(assets)})`
  },
}

/** Parts of Node that take longer to load than a row to read, by the chunks whose reads do without: each is loaded on first use. */
const late = {
  read: ['node:crypto'],
  // Most connections are neither encrypted nor to a name.
  postgresql: ['node:tls', 'dns'],
  lookup: ['node:child_process', 'node:dns/promises'],
}

const lateParts = {
  name: 'late-parts',
  renderChunk(code, { name }) {
    let changed = code
    for (const part of late[name] ?? []) {
      const before = changed
      changed = before.replace(
        `require("${part}")`,
        `new Proxy({}, { get: (_, name) => process.getBuiltinModule("${part}")[name] })`,
      )
      if (changed === before) throw new Error(`nothing of the chunk ${name} names ${part} any more`)
    }
    return changed
  },
}

/**
 * Writes characters beyond ASCII as escapes, where starts read them: V8 keeps a text with a single character beyond Latin-1 in
 * twice the room, and Node reads it in several times the time. Their literals mean the same; `String.raw` would not.
 */
const inAscii = {
  name: 'in-ascii',
  generateBundle(_, bundle) {
    for (const part of Object.values(bundle)) {
      if (!['start', 'read', 'change', 'secret-change'].includes(part.name)) continue
      if (part.code.includes('String.raw')) throw new Error(`${part.fileName} has texts that escapes would change`)
      part.code = part.code.replace(
        /[^\0-\x7f]/g,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    }
  },
}

/** The library for those who import it, one and the same with what others require: both share its connections and caches. */
const modulesOfLibrary = {
  name: 'modules-of-library',
  generateBundle(_, bundle) {
    for (const name of ['receiver', 'store']) {
      // The programs of the benchmark are bundled without it.
      const part = bundle[`${name}.cjs`]
      if (!part) continue
      const source = `export { ${part.exports.join(', ')} } from './${name}.cjs'\n`
      this.emitFile({ type: 'asset', fileName: `${name}.js`, source })
    }
  },
}

export default defineConfig({
  input: { main: 'src/cli/main.ts', receiver: 'src/receiver/receiver.ts', store: 'src/installations/store.ts' },
  platform: 'node',
  transform: { inject: { performance: [join(import.meta.dirname, 'scripts/process-clock.js'), 'performance'] } },
  // WebAssembly that is read as a file.
  external: [/^@prisma\/schema-engine-wasm/],
  // The client that speaks http and WebSocket as well is three times the size; only files are opened here.
  // jsonc-parser's "main" is a UMD build that cannot be bundled.
  resolve: { alias: { '@libsql/client': '@libsql/client/sqlite3', 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' } },
  plugins: [lighterStart, migrationsInside, pageInside, lateParts, readyHelp, inAscii, modulesOfLibrary, thirdParty],
  // Node starts CommonJS faster than modules: by 6 ms of 20 for --help, by 10 of 50 for list.
  output: {
    dir: 'dist',
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'chunks/[name]-[hash].cjs',
    // What every start reads is one file.
    codeSplitting: {
      groups: [
        // The help needs no more than these two.
        { name: 'package', test: /\/package\.json$|\/src\/cli\/paths\.ts$/, priority: 3 },
        {
          name: 'start',
          priority: 2,
          test: /\/commander\/|\/src\/(errors|secret|integration|json|damage|cli\/(run|program|usage|context|host|key-source|output\/(output|stdout|text|tone|values|clock|listing)|input\/(time|prompts|arguments|filters)|views\/(cells|integration))|store\/(database\/url|tables\/(sorts|all-rows))|operations\/(find|names))\.ts$|\/src\/platforms\/(?!signature)/,
        },
        // What reading takes beside the driver, with what both drivers share: PostgreSQL is not to load libsql.
        {
          name: 'read',
          test: /\/src\/(store\/(open|store|audit\/|tables\/|secrets\/(accepted|decrypt|holders|stored|usage)|schema\/(ready|application-tables)|database\/[\w-]+\.ts)|files\.ts)|\/@prisma\/(debug|driver-adapter-utils)\//,
        },
        // What changing takes, and what changing secrets takes besides.
        {
          name: 'change',
          test: /\/src\/(store\/(change|start-of-change|secrets\/(changes|versions|current|reencrypt))|crypto\/keyring|keys\/(lock|file)|operations\/(change|ids|integrations\/set-active)|cli\/(commands\/(change|activation)|views\/(changes|after-change)))\.ts$/,
        },
        {
          name: 'secret-change',
          test: /\/src\/(operations\/(check\/token|secrets\/(grace-period|rotate|receivers|values|prepare-rotation))|cli\/(input\/(expiry|secret-input)|views\/grace-period))\.ts$/,
        },
        { name: 'sqlite', test: /\/(libsql|@libsql|@prisma\/adapter-libsql)\/|\/store\/database\/sqlite\// },
      ],
    },
    // Node 20 cannot import() from what it compiled before.
    dynamicImportInCjs: false,
    minify: true,
    cleanDir: true,
  },
})

/**
 * npm run bench -- [--quick | --long]
 *
 * Measures the built program beside others, in turn and in one run, and prints medians, the median of the ratios pair
 * by pair, and the ratio that is the target. A ratio over its target does not fail: other work on the machine moves it.
 * What Node compiled is kept from the round before those that count, as it is for a user. `--quick` runs everything once or twice; `--long` adds the memory at a million rows, which takes minutes.
 * PostgreSQL is a server of its own, or that of TEST_DATABASE_URL.
 */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { build, type RolldownOptions } from 'rolldown'
import { loadConfig } from 'rolldown/config'
import { browserProgram } from '../test/support/browser.ts'
import { startPlatformServer } from '../test/support/platform-server.ts'
import { startPostgresql } from '../test/support/postgresql.ts'
import { toldApart } from './apart.ts'
import {
  acceptUnrecorded,
  activateAnother,
  addDesk,
  addEvents,
  addSealed,
  appSecret,
  type Data,
  idOf,
  postgresqlData,
  sqliteData,
  statement,
} from './data.ts'
import { flood, type Times } from './flood.ts'
import { guessed } from './guesses.ts'
import { inTurn, median, type Program, type Run, run } from './measure.ts'
import { pageTimes } from './page.ts'

const { quick, long } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, long: { type: 'boolean', default: false } },
}).values
if (quick && long) throw new Error('--quick and --long exclude each other')
const starts = quick ? 2 : 11
const streams = quick ? 1 : 3
const checked = 1000
const answers = 200
const many = quick ? 10_000 : 100_000

const bin = resolve('bin/integrations.js')
const program: Program = { name: 'integrations', args: [bin] }
const nothing: Program = { name: 'node -e 0', args: ['-e', '0'] }
const kinds = ['sqlite', 'postgresql'] as const
const lines = new Table({
  head: ['measured', 'median', 'beside', 'median', 'ratio', 'at most', ''],
  style: { head: [], border: [] },
})

/** Figures that stand beside nothing. */
const notes: string[] = []

/** Our program on a database. */
const ours = (words: string, data?: Data): Program => ({
  name: data ? `${words} (${data.kind})` : words,
  args: [bin, ...words.split(' ')],
  ...(data ? { env: data.env } : {}),
})

function line(what: string, value: string, beside: string, other: string, ratio: number, target: number): void {
  lines.push([what, value, beside, other, ratio.toFixed(2), String(target), ratio <= target ? 'ok' : 'over'])
}

function compare(
  program: Program,
  runs: readonly Run[],
  beside: Program,
  others: readonly Run[],
  target: number,
): void {
  const times = (of: readonly Run[]) => of.map(({ milliseconds }) => milliseconds)
  const ratios = runs.map(({ milliseconds }, i) => milliseconds / (others[i]?.milliseconds ?? Number.NaN))
  const shown = (of: readonly Run[]) => `${Math.round(median(times(of)))} ms`
  line(program.name, shown(runs), beside.name, shown(others), median(ratios), target)
}

/** Bundles a program of bench/programs as ours is bundled. */
const bundled = async (folder: string, name: string, data: Data): Promise<Program> => ({
  name,
  args: await bundledProgram(folder, name),
  env: data.env,
})

async function bundledProgram(folder: string, name: string): Promise<string[]> {
  const config = (await loadConfig(resolve('rolldown.config.js'))) as RolldownOptions
  await build({
    ...config,
    input: { [name]: `bench/programs/${name}.ts` },
    output: { ...config.output, dir: join(folder, name) },
  })
  return [join(folder, name, `${name}.cjs`)]
}

/** What a start takes of processors, beside one that does nothing. */
async function start(folder: string, data: Data): Promise<void> {
  const id = await addDesk(program, data)
  const targets = [1.1, 2, data.kind === 'sqlite' ? 2.1 : 2.5, 3.2, 3.8, 6.8]
  const words = [
    '--help',
    `show ${id}`,
    'list',
    `toggle ${id}`,
    `rotate ${id} --field webhook-secret --generate --grace 0`,
    'add --platform pylon --workspace Bench --name another --dry-run',
  ]
  const bare = await bundled(folder, `smallest-${data.kind}`, data)
  const programs = words.map((one) => ours(one, data))
  const [nothings = [], bares = [], ...runs] = await inTurn([nothing, bare, ...programs], starts, 'cpu')
  const beside = median(nothings.map(({ cpu }) => cpu ?? Number.NaN))
  for (const [i, of] of [bares, ...runs].entries()) {
    const cpu = median(of.map((one) => one.cpu ?? Number.NaN))
    const name = i === 0 ? `a bare driver (${data.kind})` : `${words[i - 1]?.split(' ')[0]} (${data.kind})`
    const ratio = median(of.map((one, round) => (one.cpu ?? Number.NaN) / (nothings[round]?.cpu ?? Number.NaN)))
    line(
      `CPU of ${name}`,
      `${Math.round(cpu)} ms`,
      nothing.name,
      `${Math.round(beside)} ms`,
      ratio,
      targets[i - 1] ?? 2,
    )
  }
}

/** What shows one page or one thing, at many integrations beside a hundred. */
async function growth(few: Data, lots: Data): Promise<void> {
  const last = [99, many - 1] as const
  const deep = (i: number) => ['list', '--limit', '100', '--cursor', idOf(i)]
  for (const [what, fewArgs, lotsArgs] of [
    ['list --limit 100', ['list', '--limit', '100'], ['list', '--limit', '100']],
    ['list --limit 100, far behind', deep(last[0]), deep(last[1])],
    ['list --limit 100 --sort=-createdAt', ...twice('list', '--limit', '100', '--sort=-createdAt')],
    ['show, by workspace and name', ...twice('show', 'Workspace 0/Integration 0')],
    ['workspaces list --limit 100', ...twice('workspaces', 'list', '--limit', '100')],
  ] as const) {
    const program = (args: readonly string[], { env }: Data, rows: number): Program => ({
      name: `${what} (${lots.kind}), ${rows} rows`,
      args: [bin, ...args],
      env,
    })
    const [beside, grown] = [program(fewArgs, few, 100), program(lotsArgs, lots, many)]
    const [others = [], runs = []] = await inTurn([beside, grown], starts)
    compare(grown, runs, beside, others, 2)
  }
}

const twice = (...args: string[]) => [args, args] as const

/** Webhooks of teams that are looked up, at many integrations beside a hundred. */
async function cold(few: Data, lots: Data): Promise<void> {
  for (const data of [few, lots]) {
    await addSealed(data, answers, 'webhook_secret', 'slack')
    acceptUnrecorded(program, data)
  }
  const receiving = ({ kind, env }: Data, rows: number, teams = answers): Program => ({
    name: `receive ${teams} teams (${kind}), ${rows} rows`,
    args: [resolve('bench/programs/cold.js'), String(teams), appSecret],
    env,
  })
  const [beside, grown, none] = [receiving(few, 100), receiving(lots, many), receiving(lots, many, 0)]
  const [others = [], runs = [], idle = []] = await inTurn([beside, grown, none], streams)
  compare(grown, runs, beside, others, 2)
  least(`teams that are looked up (${lots.kind}), ${many} rows`, answers, { runs, idle, perSecond: 150 })
  const most = await guessed(lots, quick ? 5 : 20)
  const what = `95 of 100 webhooks while strangers guess (${lots.kind}), ${many} rows`
  line(what, `${Math.round(most)} ms`, '', '100 ms', most / 100, 1)
}

/** What was run, the same without anything to do, and how many of something are to be done in a second. */
interface Throughput {
  readonly runs: readonly Run[]
  readonly idle: readonly Run[]
  readonly perSecond: number
}

/** How many of something are done in a second. */
function least(what: string, count: number, { runs, idle, perSecond }: Throughput): void {
  const times = (of: readonly Run[]) => of.map(({ milliseconds }) => milliseconds)
  const done = (count * 1000) / (median(times(runs)) - median(times(idle)))
  line(what, `${Math.round(done)} a second`, '', `${perSecond} a second`, perSecond / done, 1)
}

/** Uses of integrations that `addSealed` has added, as a receiver writes them down. */
async function uses(folder: string, data: Data): Promise<void> {
  const args = await bundledProgram(folder, 'uses')
  const writing = (count: number): Program => ({
    name: `uses of ${count} integrations (${data.kind})`,
    args: [...args, String(count)],
    env: data.env,
  })
  const [none, all] = [writing(0), writing(many / 10)]
  const [idle = [], runs = []] = await inTurn([none, all], streams)
  least(all.name, many / 10, { runs, idle, perSecond: 10_000 })
}

async function stream(folder: string, data: Data): Promise<void> {
  const listing = ours('list --all -o jsonl', data)
  const bare = await bundled(folder, `rows-${data.kind}`, data)
  const [bares = [], runs = []] = await inTurn([bare, listing], streams)
  if (new Set([...bares, ...runs].map(({ printed }) => printed)).size !== 1)
    throw new Error(`${bare.name} and ${listing.name} do not print the same`)
  compare(listing, runs, bare, bares, 1.3)
}

/** The most memory that each of two programs holds, and at most how many times the second's the first may. */
async function memory(one: Program, what: string, other: Program, beside: string, target: number): Promise<void> {
  const peaks: [number[], number[]] = [[], []]
  for (let round = 0; round < Math.min(3, streams); round++)
    for (const [i, program] of [one, other].entries()) peaks[i]?.push((await run(program, 'peak')).peak ?? Number.NaN)
  const [first, second] = [median(peaks[0]), median(peaks[1])]
  const shown = (mebibytes: number) => `${Math.round(mebibytes)} MiB`
  line(what, shown(first), beside, shown(second), first / second, target)
}

async function verify(folder: string, lots: Data): Promise<void> {
  await addEvents(lots, many)
  const verifying = ours('audit verify', lots)
  const bare = await bundled(folder, `events-${lots.kind}`, lots)
  const [bares = [], runs = []] = await inTurn([bare, verifying], streams)
  compare(verifying, runs, bare, bares, 6)
  await memory(verifying, `memory of ${verifying.name}`, bare, `memory of ${bare.name}`, 1)
}

async function sealing(folder: string): Promise<void> {
  const [ours, bare] = await Promise.all(
    ['seal-and-open', 'seal-and-open-bare'].map(async (name) => ({
      name: `${name} ${many / 10}`,
      args: [...(await bundledProgram(folder, name)), String(many / 10)],
    })),
  )
  if (!ours || !bare) throw new Error('two programs are expected')
  const [bares = [], runs = []] = await inTurn([bare, ours], streams)
  compare(ours, runs, bare, bares, 8)
  for (const [program, of] of [
    [ours, runs],
    [bare, bares],
  ] as const) {
    const perSecond = (many / 10 / median(of.map(({ milliseconds }) => milliseconds))) * 1000
    notes.push(`${program.name}: ${Math.round(perSecond)} values a second`)
  }
}

async function reencrypt(folder: string, few: Data, lots: Data): Promise<void> {
  const peaks: number[] = []
  const times: number[] = []
  for (const [data, rows] of [
    [few, many / 100],
    [lots, many / 10],
  ] as const) {
    await addSealed(data, rows, 'webhook_secret')
    activateAnother(program, data)
    const { milliseconds, peak } = await run(ours('keys reencrypt', data), 'peak')
    times.push(milliseconds)
    peaks.push(peak ?? Number.NaN)
  }
  const [fewTime = 0, lotsTime = 0] = times
  const [fewPeak = 0, lotsPeak = 0] = peaks
  const what = (rows: number) => `keys reencrypt of ${rows} rows (${lots.kind})`
  const beside = `of ${many / 100} rows`
  line(what(many / 10), `${Math.round(lotsTime)} ms`, beside, `${Math.round(fewTime)} ms`, lotsTime / fewTime, 12)
  line(
    `memory of ${what(many / 10)}`,
    `${Math.round(lotsPeak)} MiB`,
    beside,
    `${Math.round(fewPeak)} MiB`,
    lotsPeak / fewPeak,
    1.3,
  )
  const bare = await bundled(folder, 'reencrypt-bare', lots)
  const [bares, runs]: [Run[], Run[]] = [[], []]
  for (let round = 0; round < streams; round++) {
    bares.push(await run(bare))
    activateAnother(program, lots)
    runs.push(await run(ours('keys reencrypt', lots)))
  }
  compare({ ...bare, name: what(many / 10) }, runs, { ...bare, name: 'bare driver and functions' }, bares, 2)
}

/** Webhooks for integrations whose secrets `addSealed` has added. */
async function receive(data: Data): Promise<void> {
  const program = (name: string): Program => ({
    name: `${name} ${many} (${data.kind})`,
    // As an application has it: by the name of the package.
    args: [resolve(`bench/programs/${name}.js`), String(many)],
    env: data.env,
  })
  const [receiving, bare] = [program('receive'), program('receive-bare')]
  const [bares = [], runs = []] = await inTurn([bare, receiving], streams)
  compare(receiving, runs, bare, bares, 4)
  const perSecond = (many / median(runs.map(({ milliseconds }) => milliseconds))) * 1000
  notes.push(`${receiving.name}: ${Math.round(perSecond)} webhooks a second, from the start of the process to its end`)
}

/** What strangers with large bodies do to a receiver, beside a server that reads and drops what comes. */
async function flooded(data: Data): Promise<void> {
  await addSealed(data, 100, 'webhook_secret', 'github')
  acceptUnrecorded(program, data)
  // A body that comes slower than 64 KiB a second gives its place up first.
  for (const kibibytes of [60, 72, 512]) {
    const [ours, bare] = [
      await flood(data, 'serve', kibibytes * 1024, quick ? 3 : 15),
      await flood(data, 'serve-bare', kibibytes * 1024, quick ? 3 : 15),
    ]
    const what = `receiver (${data.kind}), flooded by 100 connections of ${kibibytes} KiB/s`
    line(`memory of ${what}`, `${Math.round(ours.peak)} MiB`, '', '256 MiB', ours.peak / 256, 1)
    line(`99 of 100 webhooks at ${what}`, `${Math.round(ours.small.most)} ms`, '', '250 ms', ours.small.most / 250, 1)
    for (const [name, { small, large, peak, strangers }] of Object.entries({ receiver: ours, 'a bare server': bare }))
      notes.push(
        `${name} (${data.kind}), flooded at ${kibibytes} KiB/s: ${Math.round(peak)} MiB; webhooks ${shown(small)}, of 1 to 2 MB ${shown(large)}; strangers ${strangers.trim()}`,
      )
  }
}

const shown = ({ median, most }: Times) => `${Math.round(median)} ms, 99 of 100 in ${Math.round(most)} ms`

/** What the time of an answer tells a stranger. */
async function apart(data: Data): Promise<void> {
  await addSealed(data, answers, 'webhook_secret', 'slack')
  const { first, again } = await toldApart(data, answers)
  for (const [what, { right, known, unknown }] of [
    ['each the first time', first],
    ['the same two again', again],
  ] as const) {
    const exact = (milliseconds: number) => `${milliseconds.toFixed(2)} ms`
    const told = `known teams, ${what}, ${right.toFixed(0)} % told (${data.kind})`
    line(told, exact(known), 'unknown teams', exact(unknown), right / 100, 0.6)
  }
}

async function check(folder: string, data: Data): Promise<void> {
  await addSealed(data, checked, 'access_token')
  const server = await startPlatformServer()
  try {
    const checking = ours('check --all --no-fill', data)
    const name = `fetches ${checked}`
    const bare = { name, args: [...(await bundledProgram(folder, 'fetches')), `${server.url}me`, String(checked)] }
    const env = { ...data.env, INTEGRATIONS_API_URL: server.everything }
    const [bares = [], runs = []] = await inTurn([bare, { ...checking, env }], streams)
    compare({ ...checking, name: `check --all of ${checked} (${data.kind})` }, runs, bare, bares, 5)
  } finally {
    await server.close()
  }
}

/** The page of a report with nearly as many findings as it lists, 10,000: of each integration there are 2.7. */
async function page(folder: string, data: Data): Promise<void> {
  const { open, key, findings } = await pageTimes(program, data, folder, starts)
  line(`page of a report, opened (${findings})`, `${Math.round(open)} ms`, '', '1000 ms', open / 1000, 1)
  line('a key in its filter', `${Math.round(key)} ms`, '', '200 ms', key / 200, 1)
}

const folder = mkdtempSync(join(tmpdir(), 'integrations-bench-'))
symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
// Where what is bundled looks for the names of migrations.
symlinkSync(resolve('prisma'), join(folder, 'prisma'))
const server = await startPostgresql()
const databases: string[] = []

function data(kind: (typeof kinds)[number], rows: number, name = `bench_${process.pid}_${rows}`): Promise<Data> {
  if (kind === 'sqlite') return sqliteData(program, join(folder, `${name}.db`), rows, folder)
  databases.push(name)
  return postgresqlData(program, server.url, name, rows, folder)
}

try {
  for (const kind of kinds) await start(folder, await data(kind, 10))
  for (const kind of kinds) {
    const few = await data(kind, many)
    await stream(folder, few)
    const hundred = await data(kind, 100)
    await growth(hundred, few)
    await cold(hundred, few)
    if (long) {
      const listing = (of: Data) => ours('list --all -o jsonl', of)
      const lots = await data(kind, 1_000_000)
      await memory(listing(lots), `memory at 1,000,000 rows (${kind})`, listing(few), `at ${many} rows`, 1.2)
      const { peak = Number.NaN } = await run(ours('report -o html --fail-on never', lots), 'peak')
      line(
        `memory of report -o html at 1,000,000 rows (${kind})`,
        `${Math.round(peak)} MiB`,
        '',
        '256 MiB',
        peak / 256,
        1,
      )
    }
  }
  for (const kind of kinds) {
    const events = await data(kind, 0)
    await verify(folder, events)
    const lots = await data(kind, 0, `bench_${process.pid}_lots`)
    await reencrypt(folder, await data(kind, 0, `bench_${process.pid}_few`), lots)
    acceptUnrecorded(program, lots)
    await receive(lots)
    await uses(folder, lots)
  }
  for (const kind of kinds) await flooded(await data(kind, 0, `bench_${process.pid}_flood`))
  for (const kind of kinds) await apart(await data(kind, 0, `bench_${process.pid}_apart`))
  for (const kind of kinds) await check(folder, await data(kind, 0, `bench_${process.pid}_check`))
  await sealing(folder)
  if (browserProgram) await page(folder, await data('sqlite', 3700, `bench_${process.pid}_page`))
  else notes.push('Chromium is not installed: the page of a report is not measured')
  process.stdout.write(
    `node ${process.versions.node}, ${many} rows in the streams, and events to verify\n${lines.toString()}\n${notes.join('\n')}\n`,
  )
} finally {
  for (const name of databases) await statement(server.url, `DROP DATABASE ${name}`)
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

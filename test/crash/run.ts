/**
 * npm run test:crash -- [--long] [--seed <number>] [<file> ...]
 *
 * Races, kills, full disks and failing servers, in about ten minutes on two cores; `--long` tries so much that an hour is
 * needed. What is left to chance comes from a seed, which is printed, and can be given to have the same again.
 */
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean', default: false }, seed: { type: 'string' } },
  allowPositionals: true,
})
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31))
console.info(`seed: ${seed}`)
Object.assign(process.env, { CRASH_SEED: seed, ...(values.long ? { CRASH_LONG: '1' } : {}) })

// The tests load the machine by themselves.
await startVitest('test', positionals, { project: ['crash'], maxWorkers: 1, maxConcurrency: 2, watch: false })

/** Programs that receive webhooks, each with a database of its own. @module */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from '../../src/store/open.ts'
import { freshDatabase, type Kind } from '../support/database.ts'
import { storeOptions, testKeyFile } from '../support/keyring.ts'
import { freePort } from '../support/postgresql.ts'
import { freshFolder } from '../support/program.ts'
import { add, rotate } from '../support/receiver.ts'
import { type Answered, type Case, post, secrets } from './requests.ts'

/** A program that listens. */
export interface Host {
  readonly port: number
  /** The id of the integration of GitHub. */
  readonly githubId: string
  /** Sends a request. @param path another than its own */
  answer(sent: Case['sent'], path?: string): Promise<Answered>
  /** Ends it. @returns what `onError` was told, and the integrations whose use was written down */
  stop(): Promise<{ errors: string[]; used: unknown[] }>
}

const running = new Set<() => Promise<unknown>>()

/** Ends what a test that failed has left. */
export async function stopAll(): Promise<void> {
  for (const stop of running) await stop()
}

/** Serves what a module exports. @param how see serve.mjs */
export const serve = (kind: Kind, folder: string, how: string, file: string): Promise<Host> =>
  start(kind, { folder, args: ['serve.mjs', how, file], ready: /listening on (\d+)/ })

/** Serves what Next.js has built. @param args of Node */
export async function serveNext(kind: Kind, folder: string, args: readonly string[]): Promise<Host> {
  const port = await freePort()
  return start(kind, { folder, args, ready: /Ready in/, port })
}

interface Program {
  readonly folder: string
  readonly args: readonly string[]
  /** What it prints once it listens, with the port where that is not given. */
  readonly ready: RegExp
  readonly port?: number
}

async function start(kind: Kind, { folder, args, ready, port = 0 }: Program): Promise<Host> {
  const db = await freshDatabase(kind)
  const store = await openStore(storeOptions(db))
  const slackId = await add(store, 'support', secrets.previous)
  await rotate(store, slackId, secrets.current, 3_600_000)
  const githubId = await add(store, 'repository', secrets.github, { platform: 'github' })
  await store.close()

  const home = freshFolder()
  const notes = join(home, 'outcomes')
  writeFileSync(notes, '')
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: home,
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
      DATABASE_URL: db.url,
      INTEGRATIONS_KEYS_FILE: testKeyFile(),
      OUTCOMES: notes,
      HOSTNAME: '127.0.0.1',
      PORT: String(port),
    },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  const ended = once(child, 'close')
  const stop = async () => {
    running.delete(stop)
    child.kill()
    await ended
    const used = await db.query('SELECT name FROM integrations WHERE last_used_at IS NOT NULL ORDER BY name')
    return { errors: stderr.match(/^[A-Z]+(_[A-Z]+)+ .*$/gm) ?? [], used: used.map(({ name }) => name) }
  }
  running.add(stop)
  while (!ready.test(stdout)) {
    await Promise.race([once(child.stdout, 'data'), ended])
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended: ${stdout}${stderr}`)
  }
  const listening = port === 0 ? Number(ready.exec(stdout)?.[1]) : port
  const noted = () => readFileSync(notes, 'utf8').split('\n').slice(0, -1)
  return {
    port: listening,
    githubId,
    answer: async (sent, path) => {
      const before = noted().length
      const answer = await post(sent, listening, path).catch((error: unknown) => {
        throw new Error(`no answer: ${stderr}`, { cause: error })
      })
      const [outcome = 'null', ...others] = noted().slice(before)
      if (others.length > 0) throw new Error(`a request was handled ${others.length + 1} times`)
      return { ...answer, outcome: JSON.parse(outcome) }
    },
    stop,
  }
}

/** Sends all requests of a table, one after the other. */
export async function outcomesIn(host: Host, table: Readonly<Record<string, Case>>): Promise<Record<string, Answered>> {
  const outcomes: Record<string, Answered> = {}
  for (const [name, { sent }] of Object.entries(table)) outcomes[name] = await host.answer(sent)
  return outcomes
}

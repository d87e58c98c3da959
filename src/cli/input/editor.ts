import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { childEnvironment } from '../../child-environment.ts'
import { badInput, shellWord } from '../../errors.ts'
import type { Context } from '../context.ts'
import { readTextFile } from './secret-input.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Lets a person edit a text in `$VISUAL`, `$EDITOR` or vi, as often as `work` asks.
 *
 * The text lies in a private file, below lines of explanation. When `work` fails, or a signal ends the program, a text
 * that differs from the one given is kept there alone, and people are told where; otherwise the file is removed.
 *
 * @param explanation lines without an end, which are left out of what is saved
 * @param work is given what opens the editor, and gives the text as it was saved, with empty lines for the explanation
 * @throws BAD_INPUT when the editor does not start, fails, or leaves no text
 */
export async function withEditor<T>(
  ctx: Context,
  { text, explanation }: { readonly text: string; readonly explanation: readonly string[] },
  work: (edit: () => Promise<string>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'integrations-'))
  const file = join(folder, 'config.jsonc')
  let editor: ChildProcess | undefined

  const remove = () => rmSync(folder, { recursive: true, force: true })
  const keepOrRemove = () => {
    const saved = savedText(file)?.replace(commentLines, '')
    if (saved === undefined || saved === text) return remove()
    // As it is, a command takes it.
    writeFileSync(file, saved)
    ctx.output.note(`your text is kept in ${file}`)
  }
  const stop = (signal: NodeJS.Signals) => {
    // Ctrl-C in an editor is the editor's.
    if (editor && signal === 'SIGINT') return
    editor?.kill(signal)
    keepOrRemove()
    listen('off')
    process.kill(process.pid, signal)
  }
  const listen = (how: 'on' | 'off') => {
    for (const signal of signals) process[how](signal, stop)
  }

  async function edit(): Promise<string> {
    const command = ctx.host.env.VISUAL || ctx.host.env.EDITOR || 'vi'
    const failure = await new Promise<string | undefined>((done) => {
      const notStarted = 'could not be started'
      const env = childEnvironment(ctx.host.env, { argv: ctx.host.argv })
      const words = isAbsolute(command) && existsSync(command) ? shellWord(command) : command
      if (!isWindows && !canStart(words, env)) return done(notStarted)
      // stdout is for the answer: the editor draws on stderr.
      const options: SpawnOptions = { stdio: ['inherit', 2, 2], env }
      editor = isWindows
        ? spawn(`${command} "${file}"`, { ...options, shell: true })
        : spawn('/bin/sh', ['-c', startOf(words), command, file], options)
      editor.on('error', () => done(notStarted))
      editor.on('close', (code, signal) =>
        done(code === 0 ? undefined : code === 127 ? notStarted : `ended with ${signal ?? code}`),
      )
    })
    // The news of a Ctrl-C that ended the editor may come after the news of that end.
    await new Promise((done) => setImmediate(done))
    editor = undefined
    if (failure !== undefined)
      throw badInput(
        `the editor ${JSON.stringify(command)} ${failure}; nothing was changed`,
        'name another editor in VISUAL or EDITOR, or use integrations config patch',
      )
    return (await readTextFile(file, 'the editor')).replace(commentLines, '\n')
  }

  try {
    await writeFile(file, `${explanation.map((line) => `// ${line}\n`).join('')}${text}`, { mode: 0o600, flag: 'wx' })
    listen('on')
    const result = await work(edit)
    remove()
    return result
  } catch (error) {
    keepOrRemove()
    throw error
  } finally {
    listen('off')
  }
}

/** What is in the file now; undefined when it is gone. */
function savedText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** Lines of explanation: no string of JSON goes over several lines, so that none is part of a text. */
const commentLines = /^[ \t]*\/\/.*(\n|$)/gm

const isWindows = process.platform === 'win32'

/**
 * What starts an editor: the variables may hold flags and quotes, so a shell reads them, and variables before the name. exec,
 * since a shell in between would take the signals.
 */
const startOf = (editor: string) => `exec env ${editor} "$@"`

/** Whether a shell can read how an editor is started, and finds it: of what it does not find, the shell would tell itself. */
function canStart(editor: string, env: NodeJS.ProcessEnv): boolean {
  const ask = (...args: string[]) => spawnSync('/bin/sh', args, { stdio: 'ignore', env }).status
  const find = `for word in ${editor}; do case $word in *=*) ;; *) command -v "$word" || exit 127; exit;; esac; done`
  // More than words, as a redirection, is a mistake in the loop, of which nothing is known then.
  return ask('-n', '-c', startOf(editor)) === 0 && ask('-c', find) !== 127
}

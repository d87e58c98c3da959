import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEnvironment } from '../../child-environment.ts'
import { badInput } from '../../errors.ts'
import type { Context } from '../context.ts'
import { readTextFile } from './secret-input.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Lets a person edit a text in `$VISUAL`, `$EDITOR` or vi, as often as `work` asks.
 *
 * The text lies in a private file. When `work` fails, or a signal ends the program, a text that differs from the one
 * given is kept there, and people are told where; otherwise the file is removed.
 *
 * @param work is given what opens the editor, and gives the text as it was saved
 * @throws BAD_INPUT when the editor does not start, fails, or leaves no text
 */
export async function withEditor<T>(
  ctx: Context,
  text: string,
  work: (edit: () => Promise<string>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'integrations-'))
  const file = join(folder, 'config.json')
  let editor: ChildProcess | undefined

  const remove = () => rmSync(folder, { recursive: true, force: true })
  const keepOrRemove = () => {
    const saved = savedText(file)
    if (saved === undefined || saved === text) remove()
    else ctx.output.note(`your text is kept in ${file}`)
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
      // stdout is for the answer: the editor draws on stderr.
      const env = childEnvironment(ctx.host.env, { argv: ctx.host.argv })
      editor = spawn(shellCommand(command, file), { shell: true, stdio: ['inherit', 2, 2], env })
      editor.on('error', () => done('could not be started'))
      editor.on('close', (code, signal) =>
        done(code === 0 ? undefined : code === 127 ? 'could not be started' : `ended with ${signal ?? code}`),
      )
    })
    editor = undefined
    if (failure !== undefined)
      throw badInput(
        `the editor ${JSON.stringify(command)} ${failure}; nothing was changed`,
        'name another editor in VISUAL or EDITOR, or use integrations config patch',
      )
    return readTextFile(file, 'the editor')
  }

  try {
    await writeFile(file, text, { mode: 0o600, flag: 'wx' })
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

/** The variables may hold flags too, so a shell reads them; exec, since a shell in between would take the signals. */
const shellCommand = (editor: string, file: string) =>
  process.platform === 'win32' ? `${editor} "${file}"` : `exec ${editor} '${file.replaceAll("'", `'\\''`)}'`

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Shell, shells } from './shells.ts'

/** The files of a home in which each shell may find its completion. */
const places: Record<Shell, readonly string[]> = {
  bash: ['.bashrc', '.bash_profile', '.local/share/bash-completion/completions/integrations'],
  zsh: ['.zshrc', '.zfunc/_integrations'],
  fish: ['.config/fish/completions/integrations.fish', '.config/fish/config.fish'],
}

/**
 * Looks for completion in the files of the user's shell.
 *
 * @returns the shell, and the file that names this program or undefined; undefined for a shell that has no completion here
 */
export function findCompletion({
  SHELL,
  HOME,
}: NodeJS.ProcessEnv): { readonly shell: Shell; readonly file: string | undefined } | undefined {
  const shell = shells.find((one) => one === basename(SHELL ?? ''))
  if (!shell || !HOME) return undefined
  const file = places[shell].map((path) => join(HOME, path)).find((path) => textOf(path).includes('integrations'))
  return { shell, file }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

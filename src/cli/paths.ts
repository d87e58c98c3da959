import { join } from 'node:path'

/** Where the XDG Base Directory specification has a kind of file kept, and Windows where it has a folder for it. */
const places = {
  data: { variable: 'XDG_DATA_HOME', inHome: ['.local', 'share'], windows: 'LOCALAPPDATA' },
  state: { variable: 'XDG_STATE_HOME', inHome: ['.local', 'state'], windows: 'LOCALAPPDATA' },
  config: { variable: 'XDG_CONFIG_HOME', inHome: ['.config'], windows: 'APPDATA' },
  cache: { variable: 'XDG_CACHE_HOME', inHome: ['.cache'], windows: undefined },
} as const

/** The user's folder for a kind of files; undefined where the environment names no home. */
export function homeFolder(env: NodeJS.ProcessEnv, kind: keyof typeof places): string | undefined {
  const { variable, inHome, windows } = places[kind]
  // The specification has relative paths ignored.
  if (env[variable]?.startsWith('/')) return env[variable]
  if (env.HOME) return join(env.HOME, ...inHome)
  return (windows && env[windows]) || undefined
}

import { join } from 'node:path'

/** Where the XDG Base Directory specification has a kind of file kept, what that is in a home, and Windows' folder for it. */
const places = (env: NodeJS.ProcessEnv) => ({
  data: [env.XDG_DATA_HOME, '.local/share', env.LOCALAPPDATA] as const,
  state: [env.XDG_STATE_HOME, '.local/state', env.LOCALAPPDATA] as const,
  config: [env.XDG_CONFIG_HOME, '.config', env.APPDATA] as const,
  cache: [env.XDG_CACHE_HOME, '.cache', undefined] as const,
})

/** The message where the environment names no home. @param what the files that would be kept there */
export const noHome = (what: string): string => `there is no home directory to keep ${what} in`

/** The user's folder for a kind of files; undefined where the environment names no home. */
export function homeFolder(env: NodeJS.ProcessEnv, kind: keyof ReturnType<typeof places>): string | undefined {
  const [folder, inHome, windows] = places(env)[kind]
  // The specification has relative paths ignored.
  if (folder?.startsWith('/')) return folder
  return env.HOME ? join(env.HOME, inHome) : windows || undefined
}

import { userInfo } from 'node:os'

/** The name of this process's user; the given user id where that has no name, as it may in a container. */
export function userName(uid: number | undefined): string {
  try {
    return userInfo().username
  } catch {
    return String(uid ?? '')
  }
}

import { parseKeySet } from '../crypto/key-set.ts'
import type { KeySource } from '../crypto/key-source.ts'
import { keysInvalid, keysMissing } from '../errors.ts'
import { keyFile } from '../keys/file.ts'

/** How long the function of an application may take, in milliseconds, as the command of a person: changes wait for it. */
const functionTimeoutMs = 30_000

/** Where the keys of the database are. */
export type Keys =
  /** A file that holds a JWK Set, readable by this user alone. */
  | { readonly file: string; readonly set?: never }
  /** The text of a JWK Set, or a function that gets it, from a secret manager for instance: called again when a new key is met. */
  | { readonly set: string | (() => string | Promise<string>); readonly file?: never }

/**
 * The keys that an application gives. None are made: those who keep them would not know.
 *
 * @param owner what the keys are given to, for messages
 * @throws KEYS_INVALID for neither a file nor a set
 */
export function keySource(keys: Keys, owner: 'receiver' | 'store'): KeySource {
  // JavaScript checks no types.
  const { file, set }: Partial<Keys> = keys ?? {}
  const add = async () => {
    throw keysMissing('this database has no keys yet', 'integrations keys init')
  }
  if (file !== undefined) return { ...keyFile(file, process.getuid?.()), writable: false, add }
  if (set === undefined) throw keysInvalid(`the ${owner} has no keys`, 'pass keys.file or keys.set')
  const name = `the key set of the ${owner}`
  return {
    name,
    writable: false,
    load: async () =>
      parseKeySet(
        typeof set === 'string' ? set : await textFrom(set, name),
        name,
        'pass the text of a JWK Set as keys.set',
      ),
    empty: async () => keysMissing(`${name} is empty`, 'integrations keys status'),
    add,
  }
}

/** What a function gives. @throws KEYS_MISSING when it takes too long, and what the function throws */
async function textFrom(get: () => string | Promise<string>, name: string): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const message = `the function of ${name} has not answered for ${functionTimeoutMs / 1000} s`
    const hint = 'have the function of keys.set return the text of a JWK Set, or fail, sooner'
    timer = setTimeout(() => reject(keysMissing(message, hint)), functionTimeoutMs)
  })
  try {
    return await Promise.race([get(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** What leads to the database and its keys: settings of this program, and PostgreSQL's own variables. */
const leading = /^(?:INTEGRATIONS_\w*|DATABASE_URL|PG[A-Z]+)$/i

/** A flag that names the variable of a secret. */
const namesVariable = /^--[\w-]+-env(?:=(.*))?$/s

/**
 * The environment of every program that this one starts: an editor, the command of a key set, the command of `exec`. It
 * is ours without what leads to the database and its keys, and without the variables that secrets came in.
 *
 * @param argv our command line, whose flags name those variables
 */
export function childEnvironment(env: NodeJS.ProcessEnv, argv: readonly string[] = []): NodeJS.ProcessEnv {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  const secret = new Set(words.map((word, i) => namesVariable.exec(word) && (word.split('=')[1] ?? words[i + 1])))
  return Object.fromEntries(Object.entries(env).filter(([name]) => !leading.test(name) && !secret.has(name)))
}

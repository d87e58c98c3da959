/** What leads to the database: its URL, and PostgreSQL's own variables. */
const database = /^(?:DATABASE_URL|PG[A-Z]+)$/i

/** Of those, where it is and what opens it: the others, such as PGTZ, may be the application's own. */
const login =
  /^(?:DATABASE_URL|PG(?:HOST|HOSTADDR|PORT|DATABASE|USER|PASSWORD|PASSFILE|SERVICE|SERVICEFILE|SYSCONFDIR|SSLCERT|SSLKEY|TARGETSESSIONATTRS))$/i

/** Settings of this program, which lead to its keys. */
const settings = /^INTEGRATIONS_/i

/** A flag that names the variable of a secret. */
const namesVariable = /^--[\w-]+-env(?:=(.*))?$/s

/**
 * The environment of every program that this one starts: an editor, a pager, the command of a key set, the command of `exec`. It
 * is ours without what leads to the database and its keys, and without the variables that secrets came in. The command of
 * a key set keeps our settings: CI systems hand it the keys in one of them.
 *
 * @param argv our command line, whose flags name the variables of secrets
 * @param forApplication keeps those of PostgreSQL's variables that neither say where a database is nor open it
 */
export function childEnvironment(
  env: NodeJS.ProcessEnv,
  {
    argv = [],
    forKeys = false,
    forApplication = false,
  }: { readonly argv?: readonly string[]; readonly forKeys?: boolean; readonly forApplication?: boolean },
): NodeJS.ProcessEnv {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  const secret = new Set(words.map((word, i) => namesVariable.exec(word) && (word.split('=')[1] ?? words[i + 1])))
  const leading = forApplication ? login : database
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !leading.test(name) && !secret.has(name) && (forKeys || !settings.test(name)),
    ),
  )
}

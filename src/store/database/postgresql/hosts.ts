import pg from 'pg'
import { IntegrationsError, is, RowsTooLong } from '../../../errors.ts'
import { maxAnswerBytes } from '../cells.ts'
import type { SessionAttributes } from './url.ts'

/** Where to connect. */
type Login = Pick<pg.ClientConfig, 'host' | 'port' | 'password' | 'ssl'>

type Callback = (error: Error | null, client?: pg.Client) => void

/** A server has not answered in time. */
export class Silence extends Error {
  readonly code = 'ETIMEDOUT'
}

/** What a server says of itself. */
interface Server {
  readonly standby: boolean
  readonly readOnly: boolean
}

const suits = {
  any: () => true,
  'read-write': ({ readOnly }) => !readOnly,
  'read-only': ({ readOnly }) => readOnly,
  primary: ({ standby }) => !standby,
  standby: ({ standby }) => standby,
  'prefer-standby': ({ standby }) => standby,
} satisfies Record<SessionAttributes, (server: Server) => boolean>

/** How long each of several hosts is tried at least, and at most in the first round. */
const leastMs = 500
const mostMs = 5000

/**
 * A client that connects to the first of one or more hosts that answers and is as wanted, as PostgreSQL's own programs do:
 * the driver knows one host alone.
 */
export const clientOfHosts = (logins: readonly Login[], wanted: SessionAttributes) =>
  class extends pg.Client {
    readonly #config: pg.ClientConfig

    constructor(config: pg.ClientConfig = {}) {
      super(config)
      this.#config = config
      this.#boundAnswers()
    }

    override connect(): Promise<pg.Client>
    override connect(callback: Callback): void
    override connect(callback?: Callback): Promise<pg.Client> | undefined {
      const connected = this.#find()
        .then((login) => {
          Object.assign(this, login)
          Object.assign(this.connection, { ssl: login.ssl })
          return super.connect()
        })
        .catch((error) => {
          // The driver leaves the connection open when it has no password to give.
          this.connection.stream.destroy()
          throw error
        })
      if (!callback) return connected
      connected.then(
        (client) => callback(null, client),
        (error: Error) => callback(error),
      )
      return undefined
    }

    /** Ends the connection at an answer that would fill the memory: the driver keeps all rows of it. */
    #boundAnswers(): void {
      const { connection } = this
      let bytes = 0
      connection.on('commandComplete', () => {
        bytes = 0
      })
      connection.on('dataRow', ({ length }: { length: number }) => {
        bytes += length
        if (bytes - length <= maxAnswerBytes) return
        // Prisma's client keeps nothing but the text and the code of an error that has a code.
        connection.emit('error', new Error('too long an answer', { cause: new RowsTooLong() }))
        connection.stream.destroy()
      })
    }

    async #find(): Promise<Login> {
      const [first] = logins
      if (first && logins.length === 1 && wanted === 'any') return first
      const deadline = performance.now() + (this.#config.connectionTimeoutMillis ?? 0)
      let last: unknown
      let fallback: Login | undefined
      // A server that has said nothing may be slow: it is asked again, for longer, while there is time.
      let round = logins
      for (let most = mostMs; round.length > 0; most *= 2) {
        const silent: Login[] = []
        for (const [place, login] of round.entries()) {
          if (last !== undefined && performance.now() >= deadline) break
          // Some of the time is left for each of the others, and for the connection itself.
          const share = (deadline - performance.now()) / (round.length - place + 1)
          try {
            const server = await ask({ ...this.#config, ...login }, Math.max(Math.min(share, most), leastMs))
            if (suits[wanted](server)) return login
            if (wanted === 'prefer-standby') fallback ??= login
          } catch (error) {
            if (isAnswer(error)) throw error
            if (error instanceof Silence) silent.push(login)
            last = error
          }
        }
        round = fallback || performance.now() >= deadline ? [] : silent
      }
      if (fallback) return fallback
      if (last !== undefined) throw last
      throw new IntegrationsError({
        code: 'DATABASE_UNREACHABLE',
        message: `none of the servers is as target_session_attrs=${wanted} asks`,
        hint: 'try again after a failover, or correct the hosts in DATABASE_URL',
      })
    }
  }

/** @param limitMs how long connecting and the question may take together */
async function ask(config: pg.ClientConfig, limitMs: number): Promise<Server> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 0 })
  client.on('error', () => {})
  const timer = setTimeout(
    () => client.connection.stream.destroy(new Silence('the server did not answer in time')),
    limitMs,
  )
  try {
    await client.connect()
    const { rows } = await client.query<[boolean, string]>({
      text: "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')",
      rowMode: 'array',
    })
    const [standby = false, readOnly] = rows[0] ?? []
    return { standby, readOnly: readOnly === 'on' }
  } finally {
    clearTimeout(timer)
    client.connection.stream.destroy()
  }
}

/** Whether a server has refused the login: another would do the same. One that starts up, stops or is full is passed over. */
const isAnswer = (error: unknown) =>
  is(error, 'NOT_PERMITTED') || (error instanceof pg.DatabaseError && /^(28\w{3}|3D000|42501)$/.test(error.code ?? ''))

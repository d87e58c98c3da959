import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureVersion } from 'node:tls'
import type pg from 'pg'
import { badInput } from '../../../errors.ts'

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'] as const

type Mode = (typeof modes)[number]

/** The parameters of TLS that are taken, or that change nothing here. */
const known = new Set([
  ...['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'sslnegotiation'],
  ...['sslaccept', 'sslcompression', 'sslsni', 'uselibpqcompat', 'sslcertmode'],
  ...['ssl_min_protocol_version', 'ssl_max_protocol_version'],
])

/** What the driver is given for encrypted connections. */
export interface Tls {
  readonly ssl: NonNullable<pg.ClientConfig['ssl']>
  /** TLS begins at once, without a question to the server. */
  readonly sslnegotiation?: 'direct'
}

/**
 * Reads the TLS parameters of a URL, and the files that they name. What asks for more than the driver can give is refused:
 * a server that nothing proves would be taken for one that was proved.
 *
 * @throws BAD_INPUT
 */
export function tlsOf(parameters: URLSearchParams): Tls {
  const given = (name: string) => parameters.get(name) ?? ''
  if ([...parameters.keys()].some((name) => /ssl|tls/i.test(name) && !known.has(name)))
    throw badInput(
      'the database URL has a TLS parameter that this program does not know',
      'leave it out; sslmode, sslrootcert, sslcert and sslkey are taken',
    )
  const mode = modeOf(given)
  const certificateMode = given('sslcertmode')
  if (!/^(disable|allow|require|)$/.test(certificateMode)) throw unknownValue('sslcertmode', 'disable, allow, require')
  const spoken = versionsOf(given)
  const ssl =
    mode === undefined || mode === 'disable' ? false : { ...spoken, ...filesOf(given), ...checksOf(mode, given) }
  const verified = ssl !== false && ssl.rejectUnauthorized !== false
  if (given('channel_binding') === 'require' && !verified)
    throw badInput(
      'channel_binding=require is for a server that a certificate proves',
      'add sslmode=verify-full to the database URL, which proves as much',
    )
  for (const [name, refused] of [
    ['gssencmode=', given('gssencmode') === 'require'],
    ['require_auth=', given('require_auth') !== ''],
    ['requirepeer=', given('requirepeer') !== ''],
    ['sslcertmode=require', certificateMode === 'require'],
  ] as const)
    if (refused)
      throw badInput(
        `${name} is not supported`,
        `leave ${name.replace(/=.*/, '')} out; sslmode=verify-full proves who the server is`,
      )
  const negotiation = given('sslnegotiation') || 'postgres'
  if (negotiation !== 'direct' && negotiation !== 'postgres') throw unknownValue('sslnegotiation', 'postgres, direct')
  if (negotiation === 'postgres') return { ssl }
  if (ssl) return { ssl, sslnegotiation: 'direct' }
  throw badInput('sslnegotiation=direct is for encrypted connections', 'add sslmode=verify-full to the database URL')
}

const unknownValue = (name: string, values: string) =>
  badInput(`${name} has a value that is not known`, `give one of ${values}`)

/** How far TLS goes; undefined for no TLS that was asked for. */
function modeOf(given: (name: string) => string): Mode | undefined {
  const text = given('sslmode')
  const mode = modes.find((one) => one === text)
  if (text !== '' && !mode) throw unknownValue('sslmode', modes.join(', '))
  if (mode) return mode
  // As other drivers have it.
  const ssl = given('ssl').toLowerCase()
  if (/^(true|1|on|yes)$/.test(ssl)) return 'verify-full'
  if (/^(false|0|off|no)$/.test(ssl)) return 'disable'
  if (ssl === 'no-verify') return 'no-verify'
  if (ssl !== '') throw unknownValue('ssl', 'true, false, no-verify')
  const asked = ['sslrootcert', 'sslcert', 'sslkey'].some((name) => given(name) !== '')
  return asked || given('sslaccept') === 'strict' || given('sslnegotiation') === 'direct' ? 'verify-full' : undefined
}

/** What is not checked of the server. By default everything is, whatever the mode is called. */
function checksOf(
  mode: Mode,
  given: (name: string) => string,
): Pick<Options, 'rejectUnauthorized' | 'checkServerIdentity'> {
  if (mode === 'no-verify') return { rejectUnauthorized: false }
  // NODE_TLS_REJECT_UNAUTHORIZED=0 would change what is left out.
  const verified = { rejectUnauthorized: true }
  if (given('uselibpqcompat') !== 'true' || mode === 'verify-full') return verified
  const rooted = given('sslrootcert') !== ''
  if (mode === 'allow' || mode === 'prefer' || (mode === 'require' && !rooted)) return { rejectUnauthorized: false }
  return rooted ? { ...verified, checkServerIdentity: () => undefined } : verified
}

const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

/** The versions of TLS that may be spoken. */
function versionsOf(given: (name: string) => string): { minVersion?: SecureVersion; maxVersion?: SecureVersion } {
  const version = (name: string) => {
    const text = given(name)
    const found = versions.find((one) => one.toLowerCase() === text.toLowerCase())
    if (text !== '' && !found) throw unknownValue(name, versions.join(', '))
    return found
  }
  const minVersion = version('ssl_min_protocol_version')
  const maxVersion = version('ssl_max_protocol_version')
  if (minVersion && maxVersion && minVersion > maxVersion)
    throw badInput(
      'ssl_min_protocol_version is newer than ssl_max_protocol_version',
      'correct ssl_min_protocol_version, or leave it out',
    )
  return { ...(minVersion && { minVersion }), ...(maxVersion && { maxVersion }) }
}

type Options = Exclude<NonNullable<pg.ClientConfig['ssl']>, boolean>

/** The authority to trust, and the certificate of this client. */
function filesOf(given: (name: string) => string): Options {
  const read = (name: string, what: string, content: RegExp): string | undefined => {
    const path = given(name)
    if (path === '') return undefined
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch {
      throw badInput(`the file that ${name} names cannot be read`, `correct ${name}: give the path from / on`)
    }
    if (content.test(text)) return text
    throw badInput(`the file that ${name} names has no ${what} in PEM format`, `correct ${name}`)
  }
  const certificate = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/
  // The authorities that Node has are those of "system".
  const ca = given('sslrootcert') === 'system' ? undefined : read('sslrootcert', 'certificate', certificate)
  const isSent = given('sslcertmode') !== 'disable'
  const cert = isSent ? read('sslcert', 'certificate', certificate) : undefined
  const key = isSent ? read('sslkey', 'key', /-----BEGIN (\w+ )*PRIVATE KEY-----/) : undefined
  if ((cert === undefined) !== (key === undefined))
    throw badInput(
      'sslcert and sslkey are the certificate and the key of this client, and need each other',
      'give both; the authority to trust is named with sslrootcert',
    )
  const passphrase = given('sslpassword')
  const files = { ...(ca && { ca }), ...(cert && { cert, key }), ...(passphrase !== '' && { passphrase }) }
  try {
    createSecureContext(files)
  } catch {
    throw badInput(
      'the certificates and the key that the database URL names cannot be used',
      'check that sslkey is the key of sslcert, and give the password of an encrypted key with sslpassword',
    )
  }
  return files
}

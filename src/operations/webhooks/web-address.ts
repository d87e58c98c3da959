import { BlockList, isIP } from 'node:net'
import { badInput, IntegrationsError } from '../../errors.ts'
import { lookUpApart } from '../../lookup.ts'

/** An address on the network. */
export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** A URL with its resolved addresses: requests go to these alone, whatever the name resolves to later. */
export interface Destination {
  readonly url: URL
  readonly addresses: readonly [Address, ...Address[]]
}

/** How long a name server may take. */
const lookUpTimeoutMs = 10_000

/** The kind of an address: this machine, a private network, an address that no request may reach, or the Internet. */
type Kind = 'loopback' | 'private' | 'forbidden' | 'public'

const listed = (...networks: readonly string[]): BlockList => {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/')
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

// Node matches an IPv4-mapped IPv6 address (::ffff:…) against IPv4 networks.
const loopback = listed('127.0.0.0/8', '::1/128')

// Clouds give credentials to any program of the machine at these addresses.
const metadata = [
  // Most clouds; their containers; Alibaba, Azure, Oracle, Scaleway, Tencent.
  ...['169.254.169.254', '169.254.170.2', '169.254.170.23'],
  ...['100.100.100.200', '168.63.129.16', '192.0.0.192', '169.254.42.42', '169.254.0.23'],
]
const metadata6 = [
  // AWS and its containers, Google, Oracle, Scaleway, Akamai, OpenStack.
  ...['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42', 'fd00:a9fe:a9fe::1'],
  'fe80::a9fe:a9fe',
]
/** NAT64, SIIT and deprecated IPv4-compatible addresses lead to an IPv4 address too. */
const forbidden = listed(
  ...metadata.flatMap((address) => [
    `${address}/32`,
    `64:ff9b::${address}/128`,
    `::ffff:0:${address}/128`,
    `::${address}/128`,
  ]),
  ...metadata6.map((address) => `${address}/128`),
)

// https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
const notPublic = listed(
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  // Addresses that embed an IPv4 address: IPv4-compatible, SIIT, NAT64, 6to4 and Teredo.
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
  '2001::/32',
  '100::/64',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
)

/** The kind of an IP address. */
export function kindOf(address: string): Kind {
  // Without a zone (%eth0).
  const bare = address.replace(/%.*$/, '')
  const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4'
  if (loopback.check(bare, family)) return 'loopback'
  if (forbidden.check(bare, family)) return 'forbidden'
  return notPublic.check(bare, family) ? 'private' : 'public'
}

/**
 * Reads the URL of an endpoint.
 *
 * @throws BAD_INPUT without the URL, which may contain a credential
 */
export function parseAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw badInput('the URL is not an http: or https: URL', 'pass a URL such as https://app.example.com/webhooks/slack')
  if (url.username !== '' || url.password !== '')
    throw badInput('the URL contains a user name or a password', 'remove them: the signature authenticates the sender')
  return url
}

/**
 * Resolves the addresses of a URL, all of which must be allowed: those of this machine and the Internet, and with
 * `allowPrivate` those of private networks. The metadata addresses of clouds are never allowed.
 *
 * @throws BAD_INPUT for an address that is not allowed, and for `http:` to another machine; PLATFORM_FAILED when the
 *   name has no address
 */
export async function findDestination(
  url: URL,
  allowPrivate: boolean,
  resolve: (host: string) => Promise<readonly { address: string; family: number }[]> = (host) =>
    lookUpApart(host, AbortSignal.timeout(lookUpTimeoutMs)),
): Promise<Destination> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const found = isIP(host) === 0 ? await resolve(host).catch(() => []) : [{ address: host, family: isIP(host) }]
  const [first, ...others] = found.map(({ address, family }): Address => ({ address, family: family === 6 ? 6 : 4 }))
  if (!first)
    throw new IntegrationsError({
      code: 'PLATFORM_FAILED',
      message: `${url.host} was not reached: there is no such host`,
      hint: 'check that the name is right, and that this machine can resolve it',
    })
  const addresses = [first, ...others] as const
  const kinds = new Set(addresses.map(({ address }) => kindOf(address)))
  if (kinds.has('forbidden'))
    throw badInput(
      `${url.host} is the address of a cloud's metadata service, to which no request is sent`,
      'pass the address of the endpoint',
    )
  if (kinds.has('private') && !allowPrivate)
    throw badInput(
      `${url.host} is an address of a private or reserved network`,
      'pass --allow-private if the endpoint is there',
    )
  if (url.protocol === 'http:' && (kinds.size > 1 || !kinds.has('loopback')))
    throw badInput(`http: is only allowed for this machine, and ${url.host} is another`, 'pass an https: URL')
  return { url, addresses }
}

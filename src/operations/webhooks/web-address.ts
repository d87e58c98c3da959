import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { badInput, IntegrationsError } from '../../errors.ts'

/** An address on the network. */
export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** Where something may be sent: to these addresses and no others, whatever the name stands for later. */
export interface Destination {
  readonly url: URL
  readonly addresses: readonly [Address, ...Address[]]
}

/** What an address is: this machine; a network that is not the whole Internet's; or what no request may reach. */
type Kind = 'loopback' | 'private' | 'forbidden' | 'public'

const listed = (...networks: readonly string[]): BlockList => {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/')
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

// Node finds an IPv4 address that is written as IPv6 (::ffff:…) in the networks of IPv4.
const loopback = listed('127.0.0.0/8', '::1/128')

// What clouds give credentials away at, to any program of the machine.
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
/** NAT64 and the deprecated form lead to an address of IPv4 as well. */
const forbidden = listed(
  ...metadata.flatMap((address) => [`${address}/32`, `64:ff9b::${address}/128`, `::${address}/128`]),
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
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  // Those that hold an address of IPv4: in the deprecated form, for NAT64, 6to4 and Teredo.
  '::/96',
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

/** What an IP address is. */
export function kindOf(address: string): Kind {
  // A zone (%eth0) is no part of it.
  const bare = address.replace(/%.*$/, '')
  const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4'
  if (loopback.check(bare, family)) return 'loopback'
  if (forbidden.check(bare, family)) return 'forbidden'
  return notPublic.check(bare, family) ? 'private' : 'public'
}

/**
 * Reads a URL that a request may be sent to: `https:`, or `http:` to this machine.
 *
 * @throws BAD_INPUT, which never quotes it: what follows the host may be a credential
 */
export function parseAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw badInput('that is not the URL of an endpoint', 'give one such as https://app.example.com/webhooks/slack')
  if (url.username !== '' || url.password !== '')
    throw badInput('the URL holds a user name or a password', 'leave it out: the signature is what proves the sender')
  return url
}

/**
 * Finds the addresses behind a URL, all of which have to be allowed: this machine's and the Internet's, and with
 * `allowPrivate` those of other networks. Those that clouds give credentials away at never are.
 *
 * @throws BAD_INPUT for an address that is not allowed, and for `http:` to another machine; PLATFORM_FAILED when the
 *   name has no address
 */
export async function findDestination(
  url: URL,
  allowPrivate: boolean,
  resolve: (host: string) => Promise<readonly { address: string; family: number }[]> = (host) =>
    lookup(host, { all: true }),
): Promise<Destination> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const found = isIP(host) === 0 ? await resolve(host).catch(() => []) : [{ address: host, family: isIP(host) }]
  const [first, ...others] = found.map(({ address, family }): Address => ({ address, family: family === 6 ? 6 : 4 }))
  if (!first)
    throw new IntegrationsError({
      code: 'PLATFORM_FAILED',
      message: `${url.host} was not reached: there is no such host`,
      hint: 'see that the name is right, and that this machine can resolve it',
    })
  const addresses = [first, ...others] as const
  const kinds = new Set(addresses.map(({ address }) => kindOf(address)))
  if (kinds.has('forbidden'))
    throw badInput(
      `${url.host} is an address at which a cloud gives credentials away; nothing is ever sent there`,
      'give the address of the endpoint',
    )
  if (kinds.has('private') && !allowPrivate)
    throw badInput(
      `${url.host} is an address of a private network, or one that is set apart`,
      'pass --allow-private if that is where the endpoint is',
    )
  if (url.protocol === 'http:' && (kinds.size > 1 || !kinds.has('loopback')))
    throw badInput(`http: is for this machine alone, and ${url.host} is another`, 'give an https: URL')
  return { url, addresses }
}

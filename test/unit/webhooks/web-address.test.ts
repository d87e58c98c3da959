import { describe, expect, test } from 'vitest'
import { findDestination, kindOf, parseAddress } from '../../../src/operations/webhooks/web-address.ts'

const kinds = {
  loopback: ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
  private: [
    ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '169.254.1.1', '0.0.0.0', '0.1.2.3'],
    ...['192.0.0.8', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::a00:1', '::ffff:10.0.0.1', '::ffff:a00:1'],
    ...['fc00::1', 'fd12:3456::1', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'fec0::1', 'ff02::1'],
    ...['64:ff9b::a00:1', '64:ff9b:1::1', '2002:a00:1::', '2001::1', '::ffff:0:8.8.8.8', '::ffff:0:a00:1'],
    ...['192.0.2.1', '198.51.100.7', '203.0.113.255', '::ffff:192.0.2.1'],
  ],
  forbidden: [
    ...['169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '169.254.170.2'],
    ...['100.100.100.200', '168.63.129.16', '192.0.0.192', '169.254.42.42', '169.254.0.23', '64:ff9b::6464:64c8'],
    ...[
      '::ffff:0:169.254.169.254',
      '::ffff:0:a9fe:a9fe',
      '::a9fe:a9fe',
      'fe80::a9fe:a9fe%eth0',
      'fd00:ec2::254',
      'fd20:ce::254',
      'FD20:00CE:0:0:0:0:0:254',
    ],
    ...['fd00:c1::a9fe:a9fe', 'fd00:42::42', 'fd00:a9fe:a9fe::1'],
  ],
  public: [
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    '2001:db8::1',
  ],
} as const

test.each(Object.entries(kinds))('%s addresses', (kind, addresses) => {
  expect(addresses.map((address) => [address, kindOf(address)])).toEqual(addresses.map((address) => [address, kind]))
})

const resolving =
  (...addresses: string[]) =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

const refusal = async (url: string, addresses: readonly string[] = [], allowPrivate = false) =>
  findDestination(parseAddress(url), allowPrivate, resolving(...addresses)).then(
    (destination) => destination.addresses.map(({ address }) => address).join(' '),
    ({ code, message }) => `${code}: ${message}`,
  )

const forbidden = "is the address of a cloud's metadata service, to which no request is sent"
const notPublic = 'is an address of a private or reserved network'

describe('where a webhook may be sent', () => {
  test.each([
    ['https://app.example.com/x', ['8.8.8.8', '2606:4700::1111'], false, '8.8.8.8 2606:4700::1111'],
    ['http://localhost:3000', ['127.0.0.1', '::1'], false, '127.0.0.1 ::1'],
    ['http://127.1/', [], false, '127.0.0.1'],
    ['http://[::1]:3000/', [], false, '::1'],
    ['https://localhost', ['127.0.0.1'], false, '127.0.0.1'],
    ['https://intranet', ['10.0.0.1'], true, '10.0.0.1'],
    ['https://intranet', ['10.0.0.1'], false, `BAD_INPUT: intranet ${notPublic}`],
    // One of several is enough to refuse it: which one a connection takes is chance.
    ['https://rebound.example', ['8.8.8.8', '10.0.0.1'], false, `BAD_INPUT: rebound.example ${notPublic}`],
    ['https://rebound.example', ['8.8.8.8', '169.254.169.254'], true, `BAD_INPUT: rebound.example ${forbidden}`],
    ['https://0x0a000001/', [], false, `BAD_INPUT: 10.0.0.1 ${notPublic}`],
    ['https://0/', [], false, `BAD_INPUT: 0.0.0.0 ${notPublic}`],
    ['https://2852039166/', [], true, `BAD_INPUT: 169.254.169.254 ${forbidden}`],
    ['http://169.254.169.254/', [], true, `BAD_INPUT: 169.254.169.254 ${forbidden}`],
    ['https://[::ffff:169.254.169.254]/', [], true, `BAD_INPUT: [::ffff:a9fe:a9fe] ${forbidden}`],
    ['https://[fd20:ce::254]/', [], true, `BAD_INPUT: [fd20:ce::254] ${forbidden}`],
    ['https://metadata.google.internal/', ['fd20:ce::254'], true, `BAD_INPUT: metadata.google.internal ${forbidden}`],
    ['http://10.0.0.1', [], true, 'BAD_INPUT: http: is only allowed for this machine, and 10.0.0.1 is another'],
    [
      'http://app.example.com',
      ['8.8.8.8'],
      false,
      'BAD_INPUT: http: is only allowed for this machine, and app.example.com is another',
    ],
    [
      'http://app.example.com',
      ['127.0.0.1', '8.8.8.8'],
      false,
      'BAD_INPUT: http: is only allowed for this machine, and app.example.com is another',
    ],
    ['https://nowhere.example', [], false, 'PLATFORM_FAILED: nowhere.example was not reached: there is no such host'],
  ])('%s at %j, private ones allowed: %s', async (url, addresses, allowPrivate, expected) => {
    expect(await refusal(url, addresses, allowPrivate)).toBe(expected)
  })

  test.each(['ftp://example.com', 'example.com', 'file:///etc/passwd', '', 'https://'])('%j is no endpoint', (url) => {
    expect(() => parseAddress(url)).toThrow('the URL is not an http: or https: URL')
  })

  test('one with a password is refused, and not quoted', () => {
    expect(() => parseAddress('https://user:hunter2@example.com/')).toThrow(
      /^the URL contains a user name or a password$/,
    )
  })
})

import { execFile } from 'node:child_process'
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** Finds the addresses of a host. @throws an error with the code of Node's, such as ENOTFOUND */
export type LookUp = (host: string, signal: AbortSignal) => Promise<LookupAddress[]>

/** All of the environment of `getent`: where systems have it. */
const env = { PATH: '/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin' }

const underWay = new Map<string, Promise<LookupAddress[]>>()

/**
 * Looks a host up in this process, once for all that ask at the same time: the look-up goes on when none of them waits any
 * more, and takes one of the few threads that read files too.
 */
export const lookUpShared: LookUp = (host) => {
  const found = underWay.get(host) ?? lookup(host, { all: true }).finally(() => underWay.delete(host))
  underWay.set(host, found)
  return found
}

/**
 * Looks a host up as the system does, in a process that ends with the signal: at its own end, Node waits for a name
 * server that is silent. Where the system has no `getent`, as `lookUpShared`.
 */
export const lookUpApart: LookUp = (host, signal) => {
  const name = domainToASCII(host)
  // What needs no name server, and what is not a name.
  if (isIP(host) !== 0 || name === 'localhost' || !/^\w/.test(name)) return lookUpShared(host, signal)
  return new Promise((resolve, reject) => {
    execFile('getent', ['ahosts', name], { env, signal, killSignal: 'SIGKILL' }, (error, stdout) => {
      const found = [...stdout.matchAll(/^(\S+)\s+STREAM\b/gm)].map(([, address = '']) => address)
      if (found.length > 0) resolve(found.map((address) => ({ address, family: isIP(address) })))
      else if (typeof error?.code === 'string' && !signal.aborted) resolve(lookUpShared(host, signal))
      else reject(Object.assign(new Error('the host has no address'), { code: 'ENOTFOUND' }))
    })
  })
}

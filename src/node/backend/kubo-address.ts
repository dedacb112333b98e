import { InvalidTextError } from '../../protocol/errors.ts'

/** Where a Kubo RPC listens, ready for `node:http`. */
export interface KuboAddress {
  /** As it is shown in messages; never holds a secret. */
  readonly url: string
  readonly secure: boolean
  /** Either `host` and `port`, or `socketPath`. */
  readonly target: { readonly host: string; readonly port: number } | { readonly socketPath: string }
}

const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(\/https?)?\/?$/

function fromUrl(text: string): URL {
  const parts = MULTIADDR.exec(text)
  if (parts !== null) {
    const [, family, host, port, scheme] = parts
    return new URL(`${scheme === '/https' ? 'https' : 'http'}://${family === 'ip6' ? `[${host}]` : host}:${port}`)
  }
  return new URL(text)
}

/**
 * Reads the address of a Kubo RPC: `http://host:port` (https too), or a multiaddr as Kubo writes it in `$IPFS_PATH/api`
 * (`/ip4/127.0.0.1/tcp/5001`, `/unix/run/ipfs.sock`). The port defaults to 5001 (443 with https), `/api/v0` at the end is allowed.
 * Throws {@link InvalidTextError} `options`, without quoting it when it holds a password.
 */
export function parseKuboApi(text: string): KuboAddress {
  const bare = text.trim()
  if (bare.startsWith('/unix/')) return { url: bare, secure: false, target: { socketPath: bare.slice('/unix'.length) } }
  let url: URL
  try {
    url = fromUrl(bare)
  } catch {
    throw new InvalidTextError('options', `"${text}" is not the address of a Kubo RPC: write it as http://127.0.0.1:5001`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidTextError('options', 'the address of a Kubo RPC holds no user or password: give them as its authorization')
  }
  const path = url.pathname.replace(/\/+$/, '')
  if (!['http:', 'https:'].includes(url.protocol) || !['', '/api/v0'].includes(path) || url.search !== '' || url.hash !== '') {
    throw new InvalidTextError('options', `"${text}" is not the address of a Kubo RPC: write it as http://127.0.0.1:5001`)
  }
  const secure = url.protocol === 'https:'
  // An URL forgets a port that is the default of its scheme, which Kubo's is not.
  const implied = secure ? 443 : /(:|\/tcp\/)0*80(\/|$)/.test(bare) ? 80 : 5001
  const port = url.port === '' ? implied : Number(url.port)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { url: `${url.protocol}//${url.hostname}:${port}`, secure, target: { host, port } }
}

/**
 * Turns a secret into the `Authorization` header that Kubo compares byte by byte. Takes a header (`Bearer TOKEN`,
 * `Basic BASE64`), an `AuthSecret` as its `API.Authorizations` hold it (`bearer:TOKEN`, `basic:USER:PASSWORD`), or
 * `USER:PASSWORD`. Throws {@link InvalidTextError} `options`, never quoting the secret.
 */
export function authorizationHeader(secret: string): string {
  const text = secret.trim()
  if (!/^[\x20-\x7e]+$/.test(text)) throw new InvalidTextError('options', 'the authorization for Kubo is empty or not plain ASCII')
  const header = /^(bearer|basic) +(\S+)$/i.exec(text)
  if (header !== null) return `${header[1]?.toLowerCase() === 'bearer' ? 'Bearer' : 'Basic'} ${header[2]}`
  if (text.startsWith('bearer:')) return `Bearer ${text.slice('bearer:'.length)}`
  const pair = text.startsWith('basic:') ? text.slice('basic:'.length) : text
  if (!pair.includes(':')) {
    throw new InvalidTextError('options', 'the authorization for Kubo is neither "Bearer TOKEN" nor "USER:PASSWORD"')
  }
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** What people write: settings, sizes, durations, addresses, CIDs. */
import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import { checkBootstrap } from '../../../src/config/addresses.ts'
import { resolveConfig, type Config } from '../../../src/config/config.ts'
import { ConfigError } from '../../../src/config/errors.ts'
import { parseConfigText } from '../../../src/config/file.ts'
import { SETTINGS } from '../../../src/config/settings.ts'
import { parseDuration, parseSize } from '../../../src/config/units.ts'
import { hostPort, parseBootstrap, parseMultiaddr, peerIn } from '../../../src/network/addresses.ts'
import { NetworkError } from '../../../src/network/errors.ts'
import { textAddress } from '../../../src/node/addresses.ts'
import { authorizationHeader, parseKuboApi } from '../../../src/node/backend/kubo-address.ts'
import { cidKey, parseCid } from '../../../src/protocol/cid.ts'
import { InvalidTextError } from '../../../src/protocol/errors.ts'
import { MAX_CID_BYTES } from '../../../src/protocol/limits.ts'
import { formatPublicKey, nodeIdOf } from '../../../src/protocol/ssh-key.ts'
import { author, node, oldCid, rawCid } from '../../vectors/source/make.ts'
import { requireSame, textOf, utf8, type Target } from '../target.ts'

const peer = nodeIdOf(node.blob)
const line = formatPublicKey(author.blob, 'you@laptop')
const ADDRESSES = [
  `/ip4/203.0.113.1/tcp/4101/p2p/${peer}`,
  '/ip6/2001:db8::1/tcp/4101',
  '/ip6zone/eth0/ip6/fe80::1/tcp/1',
  `/ip4/1.2.3.4/udp/4001/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ/p2p/${peer}/p2p-circuit`,
  '/dns4/example.com/tcp/443/wss',
  '/unix/run%2Fx.sock'
]

const FILE = JSON.stringify({
  network: 'blue-otter-7f3a',
  bootstrap: ['203.0.113.1', '[2001:db8::1]:4101', ADDRESSES[0]],
  listen: '/ip4/0.0.0.0/tcp/4101',
  authorize: [line],
  backend: 'kubo',
  'kubo-api': 'http://127.0.0.1:5001',
  tag: ['region=eu', 'disk=ssd'],
  capacity: '38GB',
  wait: 'all',
  timeout: '1m30s',
  replicas: 3,
  json: true,
  'remote-keys': false
})
const ENV = `PINSUB_NETWORK=blue-otter\0PINSUB_BOOTSTRAP=203.0.113.1 203.0.113.2:4101,${ADDRESSES[0]}\0PINSUB_AUTHORIZE=${line}\n${line}\0PINSUB_TAG=region=eu disk=ssd\0PINSUB_CAPACITY=1.5TB\0PINSUB_WAIT=2\0PINSUB_TIMEOUT=500ms\0PINSUB_JSON=yes\0PINSUB_KUBO_AUTHORIZATION=Bearer x`

const FLAGS = `network=blue-otter\0bootstrap=203.0.113.1\0authorize=${line}\0tag=region=eu\0capacity=1.5TB\0wait=2\0timeout=500ms\0json=yes\0kuboApi=http://127.0.0.1:5001`

const WORDS = Object.keys(SETTINGS).flatMap((name) => [name, `"${name}":`, `PINSUB_${name.toUpperCase().replaceAll('-', '_')}=`])

function check(config: Config): string {
  for (const text of config.bootstrap) assert.ok(parseBootstrapOrNone(text))
  assert.ok(config.timeout > 0 && config.timeout < 2 ** 31)
  assert.ok(config.capacity === undefined || Number.isSafeInteger(config.capacity))
  return `${config.network} ${config.backend}`
}

/** What the settings take for an address, the network reads, or says in its own words that it does not dial it. */
function parseBootstrapOrNone(text: string): boolean {
  try {
    return parseBootstrap(text) !== ''
  } catch (err) {
    return err instanceof NetworkError
  }
}

function readAddress(text: string): string {
  const address = parseMultiaddr(text)
  requireSame(parseMultiaddr(address.toString()).toString(), address.toString())
  peerIn(address)
  assert.ok(!hostPort(address).startsWith('/'))
  return address
    .getComponents()
    .map(({ name }) => name)
    .join(' ')
}

/** What people write and what stands in config.json. */
export const SETTING_TARGETS: readonly Target[] = [
  {
    name: 'config-file',
    form: 'text',
    errors: [ConfigError],
    seeds: [FILE, '{}', '\uFEFF{"network":"x"}', '{"networks":"x"}'].map(utf8),
    words: WORDS,
    cost: 6,
    run: (bytes) => check(resolveConfig({ flags: {}, env: {}, file: parseConfigText('config.json', textOf(bytes)) }))
  },
  {
    name: 'environment',
    form: 'text',
    errors: [ConfigError],
    seeds: [utf8(ENV)],
    words: WORDS,
    cost: 6,
    run: (bytes) => check(resolveConfig({ flags: {}, env: Object.fromEntries(variables(textOf(bytes))), file: undefined }))
  },
  {
    name: 'flags',
    form: 'text',
    errors: [ConfigError],
    seeds: [utf8(FLAGS)],
    words: WORDS,
    cost: 6,
    run: (bytes) => check(resolveConfig({ flags: Object.fromEntries(variables(textOf(bytes))), env: {}, file: undefined }))
  },
  {
    name: 'size',
    form: 'text',
    errors: [ConfigError],
    seeds: ['38GB', '1.5 TiB', '0', '500mib'].map(utf8),
    words: ['kb', 'kib', 'tb', 'constructor', '.'],
    run: (bytes) => assert.ok(Number.isSafeInteger(parseSize(textOf(bytes))))
  },
  {
    name: 'duration',
    form: 'text',
    errors: [ConfigError],
    seeds: ['60s', '1m30s', '1.5h', '500ms', '2d'].map(utf8),
    words: ['ms', 's', 'm', 'h', 'd', '.'],
    run: (bytes) => assert.ok(Number.isSafeInteger(parseDuration(textOf(bytes))))
  },
  {
    name: 'bootstrap',
    form: 'text',
    errors: [ConfigError, NetworkError],
    seeds: [...ADDRESSES, '203.0.113.1', '203.0.113.1:4101', '[2001:db8::1]:4101', '::1', 'example.com:1'].map(utf8),
    run(bytes) {
      checkBootstrap(textOf(bytes))
      return parseMultiaddr(parseBootstrap(textOf(bytes))).getComponents().length
    }
  },
  {
    name: 'multiaddr',
    form: 'text',
    errors: [NetworkError],
    seeds: ADDRESSES.map(utf8),
    words: ['ip4', 'ip6', 'ip6zone', 'tcp', 'udp', 'p2p', 'dns', 'p2p-circuit', peer],
    run: (bytes) => readAddress(textOf(bytes))
  },
  {
    name: 'multiaddr-bytes',
    form: 'bytes',
    errors: [],
    seeds: ADDRESSES.map((text) => multiaddr(text).bytes),
    run(bytes) {
      const [text] = textAddress(bytes)
      return text?.split('/')[1]
    }
  },
  {
    name: 'kubo-api',
    form: 'text',
    errors: [InvalidTextError],
    seeds: ['http://127.0.0.1:5001', 'https://[::1]/api/v0', '/ip4/127.0.0.1/tcp/5001', '/unix/run/ipfs.sock'].map(utf8),
    run: (bytes) => parseKuboApi(textOf(bytes)).secure
  },
  {
    name: 'kubo-authorization',
    form: 'text',
    errors: [InvalidTextError],
    seeds: ['Bearer x', 'basic:a:b', 'user:password'].map(utf8),
    words: ['bearer', 'basic', ':'],
    run: (bytes) => assert.match(authorizationHeader(textOf(bytes)), /^(Bearer|Basic) [\x20-\x7e]*$/)
  },
  {
    name: 'cid',
    form: 'text',
    errors: [InvalidTextError],
    seeds: [rawCid('a').toString(), oldCid('a').toString(), `/ipfs/${rawCid('a')}/`, `ipfs://${rawCid('b')}`].map(utf8),
    words: ['/ipfs/', 'ipfs://', 'Qm', 'baf', 'k', 'z'],
    run(bytes) {
      const cid = parseCid(textOf(bytes))
      assert.ok(cid.byteLength <= MAX_CID_BYTES)
      requireSame(cidKey(parseCid(cidKey(cid))), cidKey(cid))
      return `${cid.version} ${cid.code}`
    }
  }
]

/** `NAME=value`, one behind the other with a NUL between, as a process is given them. */
function variables(text: string): readonly [string, string][] {
  return text.split('\0').map((pair) => {
    const at = pair.indexOf('=')
    return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
  })
}

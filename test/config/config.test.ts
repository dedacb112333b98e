import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { publicKeyOfSeed } from '../../src/protocol/signature.ts'
import { formatPublicKey, keyBlob } from '../../src/protocol/ssh-key.ts'

const key = (n: number) => formatPublicKey(keyBlob(publicKeyOfSeed(new Uint8Array(32).fill(n))), 'ann laptop')
const resolve = ({ flags = {}, env = {}, file }: { flags?: Record<string, unknown>; env?: Record<string, string>; file?: unknown }) =>
  resolveConfig({ flags, env, file })

test('defaults', () => {
  expect(resolve({})).toEqual({
    network: undefined,
    bootstrap: [],
    listen: undefined,
    announce: [],
    authorizedKeys: undefined,
    authorize: [],
    backend: 'auto',
    kuboApi: 'http://127.0.0.1:5001',
    kuboAuthorization: undefined,
    tags: {},
    capacity: undefined,
    key: undefined,
    keyPassphraseFile: undefined,
    swarmKey: undefined,
    wait: undefined,
    timeout: 60_000,
    replicas: undefined,
    pinset: 'default',
    json: false,
    verbose: false,
    mdns: false,
    remoteKeys: true
  })
})

test('a flag goes before a variable, that before config.json, that before the default; a list replaces a list', () => {
  const file = { timeout: '1s', network: 'file', pinset: 'file', bootstrap: ['192.0.2.1', '192.0.2.2'], mdns: true }
  const env = { PINSUB_TIMEOUT: '2s', PINSUB_NETWORK: 'env', PINSUB_BOOTSTRAP: '192.0.2.3', PINSUB_MDNS: 'false' }
  expect(resolve({ file })).toMatchObject({
    timeout: 1_000,
    network: 'file',
    pinset: 'file',
    bootstrap: ['192.0.2.1', '192.0.2.2'],
    mdns: true
  })
  expect(resolve({ file, env })).toMatchObject({ timeout: 2_000, network: 'env', pinset: 'file', bootstrap: ['192.0.2.3'], mdns: false })
  expect(resolve({ file, env, flags: { timeout: '3s', network: undefined } })).toMatchObject({ timeout: 3_000, network: 'env' })
})

test('the same settings can be given in each way', () => {
  const values = {
    network: 'net-1',
    bootstrap: ['203.0.113.1:4001', '[2001:db8::1]:4101', '2001:db8::1', '/ip4/203.0.113.1/tcp/4101'],
    listen: ['/ip4/0.0.0.0/tcp/4101'],
    announce: ['/ip4/203.0.113.1/tcp/4101'],
    authorizedKeys: '/etc/pinsub/keys',
    authorize: [key(1), `ops="pin" ${key(2)}`],
    backend: 'kubo',
    kuboApi: 'http://kubo:5001',
    tags: { region: 'eu', disk: 'ssd' },
    capacity: 38e9,
    key: 'agent:SHA256:x',
    wait: 2,
    timeout: 90_000,
    replicas: 3,
    pinset: 'site',
    json: true,
    verbose: true,
    mdns: true
  }
  const env = {
    PINSUB_NETWORK: 'net-1',
    PINSUB_BOOTSTRAP: '203.0.113.1:4001, [2001:db8::1]:4101 2001:db8::1,/ip4/203.0.113.1/tcp/4101',
    PINSUB_LISTEN: '/ip4/0.0.0.0/tcp/4101',
    PINSUB_ANNOUNCE: '/ip4/203.0.113.1/tcp/4101',
    PINSUB_AUTHORIZED_KEYS: '/etc/pinsub/keys',
    PINSUB_AUTHORIZE: `${key(1)}\n\nops="pin" ${key(2)}\n`,
    PINSUB_BACKEND: 'kubo',
    PINSUB_KUBO_API: 'http://kubo:5001/',
    PINSUB_TAG: 'region=eu disk=ssd',
    PINSUB_CAPACITY: '38GB',
    PINSUB_KEY: 'agent:SHA256:x',
    PINSUB_WAIT: '2',
    PINSUB_TIMEOUT: '1m30s',
    PINSUB_REPLICAS: '3',
    PINSUB_PINSET: 'site',
    PINSUB_JSON: '1',
    PINSUB_VERBOSE: 'yes',
    PINSUB_MDNS: 'on'
  }
  const { tags, authorizedKeys, kuboApi, ...same } = values
  const flags = {
    ...same,
    tag: ['region=eu', 'disk=ssd'],
    authorizedKeys,
    'kubo-api': kuboApi,
    capacity: '38GB',
    wait: '2',
    timeout: '90s',
    replicas: '3',
    detach: true
  }
  const file = { ...same, tag: ['region=eu', 'disk=ssd'], 'authorized-keys': authorizedKeys, 'kubo-api': kuboApi, timeout: '90s' }
  for (const source of [{ env }, { flags }, { file }]) expect(resolve(source)).toMatchObject({ ...values, tags })
})

test('an empty variable counts as absent, a lone value as a list of one', () => {
  expect(resolve({ env: { PINSUB_NETWORK: '', PINSUB_BOOTSTRAP: ' ', PINSUB_WAIT: '' } })).toEqual(resolve({}))
  expect(resolve({ file: { bootstrap: '192.0.2.1', wait: 'all' } })).toMatchObject({ bootstrap: ['192.0.2.1'], wait: 'all' })
})

test('the secret of an RPC comes from a variable or config.json, never from the command line', () => {
  expect(resolve({ env: { PINSUB_KUBO_AUTHORIZATION: 'Bearer x' } }).kuboAuthorization).toBe('Bearer x')
  expect(resolve({ file: { 'kubo-authorization': 'Bearer y' } }).kuboAuthorization).toBe('Bearer y')
  expect(() => resolve({ flags: { kuboAuthorization: 'z' } })).toThrow('PINSUB_KUBO_AUTHORIZATION')
})

test('the result cannot be changed', () => {
  const config = resolve({ flags: { tag: ['a=b'], bootstrap: ['192.0.2.1'] } })
  expect(() => Object.assign(config, { json: true })).toThrow(TypeError)
  expect(() => Object.assign(config.tags, { a: 'c' })).toThrow(TypeError)
  expect(() => (config.bootstrap as string[]).push('x')).toThrow(TypeError)
})

describe('a bad value is named together with where it was given', () => {
  test.each<[unknown, string]>([
    [{ netwrok: 'x' }, 'config.json: unknown key "netwrok", did you mean "network"?'],
    [{ home: '/x' }, 'config.json: unknown key "home"'],
    [JSON.parse('{"__proto__": 1}'), 'unknown key "__proto__"'],
    [['network'], 'config.json: an object'],
    [null, 'config.json: an object'],
    [{ network: 1 }, 'config.json: "network": text was expected, not 1'],
    [{ network: 'a b' }, '"a b" is not a name'],
    [{ replicas: '3' }, 'config.json: "replicas": a whole number was expected, not "3"'],
    [{ replicas: 0 }, 'at least 1'],
    [{ wait: 'some' }, '"all", was expected, not "some"'],
    [{ timeout: 60 }, 'config.json: "timeout": a duration such as "60s" was expected, not 60'],
    [{ timeout: '0s' }, 'more than 0'],
    [{ timeout: '30d' }, 'at most 24d'],
    [{ capacity: true }, 'a size such as'],
    [{ json: 'yes' }, 'true or false was expected, not "yes"'],
    [{ bootstrap: 3 }, 'a list was expected, not 3'],
    [{ bootstrap: ['node.example'] }, '"node.example" is not an address'],
    [{ bootstrap: ['192.0.2.1:70000'] }, 'is not an address'],
    [{ bootstrap: ['2001:db8::1:x'] }, 'is not an address'],
    [{ listen: ['0.0.0.0:4101'] }, 'is not a multiaddr'],
    [{ listen: ['/ip4/300.1.1.1/tcp/1'] }, 'is not a multiaddr'],
    [{ backend: 'ipfs' }, 'auto, helia or kubo was expected, not "ipfs"'],
    [{ 'kubo-api': '/ip4/127.0.0.1/tcp/5001' }, 'write it like http://127.0.0.1:5001'],
    [{ 'kubo-api': 'http://me:secret@127.0.0.1' }, 'PINSUB_KUBO_AUTHORIZATION'],
    [{ tag: ['eu'] }, '"eu" is not a tag'],
    [{ tag: ['a=b', 'a=c'] }, 'tag "a" twice'],
    [{ tag: Array.from({ length: 17 }, (_, i) => `t${i}=x`) }, 'at most 16 tags'],
    [{ authorize: ['ssh-ed25519 AAAA'] }, 'config.json: "authorize"']
  ])('%j', (file, message) => {
    expect(() => resolve({ file })).toThrow(ConfigError)
    expect(() => resolve({ file })).toThrow(message)
  })

  test.each([
    [{ env: { PINSUB_TIMEOUT: '60' } }, 'PINSUB_TIMEOUT: "60" is not a duration'],
    [{ env: { PINSUB_JSON: 'maybe' } }, 'PINSUB_JSON: true or false'],
    [{ env: { PINSUB_KUBO_API: 'kubo' } }, 'PINSUB_KUBO_API: "kubo"'],
    [{ flags: { replicas: 'three' } }, '--replicas: a whole number'],
    [{ flags: { authorize: ['nonsense'] } }, '--authorize: no key found'],
    [{ flags: { network: 'ok' }, file: { network: 1 } }, 'config.json: "network"']
  ])('%j', (sources, message) => {
    expect(() => resolve(sources)).toThrow(ConfigError)
    expect(() => resolve(sources)).toThrow(message)
  })
})

test.each(['key', 'key-passphrase-file'] as const)('%s: ~/ is the home of the user, from wherever it comes', (name) => {
  const read = (sources: Parameters<typeof resolve>[0]) => resolve(sources)[name === 'key' ? 'key' : 'keyPassphraseFile']
  const expanded = join(homedir(), '.ssh', 'x')
  expect(read({ flags: { [name]: '~/.ssh/x' } })).toBe(expanded)
  expect(read({ env: { [`PINSUB_${name.toUpperCase().replaceAll('-', '_')}`]: '~/.ssh/x' } })).toBe(expanded)
  expect(read({ file: { [name]: '~/.ssh/x' } })).toBe(expanded)
  for (const other of ['x/~/y', '~bob/x', 'agent:~/x']) expect(read({ flags: { [name]: other } })).toBe(other)
})

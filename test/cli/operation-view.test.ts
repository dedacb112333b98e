import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { plainOperation, tellOperation } from '../../src/cli/operation-view.ts'
import { parseCid } from '../../src/protocol/cid.ts'

const cid = parseCid('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const other = parseCid('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG')
const origin = '/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

test('a pin with all that it may have', () => {
  const operation = {
    op: 'pin',
    cid,
    name: 'docs',
    metadata: { a: 'b' },
    replicas: 2,
    expires: Date.UTC(2027, 0, 1),
    origins: [multiaddr(origin).bytes, Uint8Array.of(255)],
    at: { ms: 0, counter: 3 }
  } as const
  const plain = {
    op: 'pin',
    cid: cid.toString(),
    name: 'docs',
    metadata: { a: 'b' },
    replicas: 2,
    expires: '2027-01-01T00:00:00.000Z',
    origins: [origin, 'ff'],
    at: '1970-01-01T00:00:00.000Z'
  }
  expect(plainOperation(operation)).toEqual(plain)
  expect(JSON.parse(JSON.stringify(plainOperation(operation)))).toEqual(plain)
  expect(tellOperation(operation)).toEqual(['pin', cid.toString(), expect.stringContaining('name docs, metadata {"a":"b"}, replicas 2')])
})

test('an update, and a kind of a later version', () => {
  expect(tellOperation({ op: 'update', from: other, to: cid })).toEqual(['update', `${other} -> ${cid}`, ''])
  expect(tellOperation({ op: 'unknown', kind: 'rename', cid })).toEqual(['rename', cid.toString(), ''])
  expect(tellOperation({ op: 'unknown', kind: 'shrug' })).toEqual(['shrug', '', ''])
})

test('a time later than any date is shown as it is', () => {
  expect(plainOperation({ op: 'pin', cid, expires: Number.MAX_SAFE_INTEGER })).toMatchObject({ expires: '9007199254740991' })
})

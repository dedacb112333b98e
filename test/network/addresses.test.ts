import { describe, expect, test } from 'vitest'
import { hostPort, parseBootstrap, parseMultiaddr } from '../../src/network/addresses.ts'

const ID = '12D3KooWDgJpkwEdKcVwFziEPNauq7urS2dmoFyUZnfFvhSF6Hyx'

describe('parseBootstrap', () => {
  test.each([
    ['203.0.113.1', '/ip4/203.0.113.1/tcp/4101'],
    [' 203.0.113.1:9 ', '/ip4/203.0.113.1/tcp/9'],
    ['2001:db8::1', '/ip6/2001:db8::1/tcp/4101'],
    ['[2001:db8::1]', '/ip6/2001:db8::1/tcp/4101'],
    ['[2001:db8::1]:65535', '/ip6/2001:db8::1/tcp/65535'],
    ['[fe80::1%eth0]:4101', '/ip6zone/eth0/ip6/fe80::1/tcp/4101'],
    ['/ip4/203.0.113.1/tcp/4102', '/ip4/203.0.113.1/tcp/4102'],
    [`/ip4/203.0.113.1/tcp/4101/p2p/${ID}`, `/ip4/203.0.113.1/tcp/4101/p2p/${ID}`]
  ])('%s', (text, expected) => expect(parseBootstrap(text)).toBe(expected))

  test.each([
    '',
    'example.org',
    'example.org:4101',
    'localhost',
    '203.0.113.1:0',
    '203.0.113.1:65536',
    '203.0.113.1:x',
    '203.0.113.999',
    '[203.0.113.1]:4101',
    '2001:db8::1:xyz',
    '/dns4/example.org/tcp/4101',
    '/dnsaddr/bootstrap.libp2p.io',
    '/ip4/203.0.113.1/udp/4101/quic-v1',
    '/ip4/203.0.113.1/tcp/4101/ws',
    '/ip4/203.0.113.1',
    `/p2p/${ID}`,
    `/ip4/203.0.113.1/tcp/4101/p2p/${ID}/p2p-circuit`,
    '/ip4/x/tcp/1',
    '/nonsense'
  ])('refuses "%s" and says what to write', (text) => {
    expect(() => parseBootstrap(text)).toThrow(
      expect.objectContaining({ name: 'NetworkError', code: 'address', message: expect.stringContaining(text) })
    )
  })
})

test('hostPort is what people read', () => {
  expect(hostPort(`/ip4/203.0.113.1/tcp/4101/p2p/${ID}`)).toBe('203.0.113.1:4101')
  expect(hostPort(parseMultiaddr('/ip6/2001:db8::1/tcp/4101'))).toBe('[2001:db8::1]:4101')
})

import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { originOf } from '../../src/network/origin.ts'

const of = (text: string): string => originOf(multiaddr(text))

test('addresses of one owner have one origin, others another', () => {
  expect(of('/ip4/203.0.113.1/tcp/1')).toBe('203.0.113.1')
  expect(of('/ip4/203.0.113.1/tcp/2')).toBe('203.0.113.1')
  expect(of('/ip4/203.0.113.2/tcp/1')).not.toBe(of('/ip4/203.0.113.1/tcp/1'))
  expect(of('/ip6/2001:db8:0:1::1/tcp/1')).toBe(of('/ip6/2001:db8:0:1:ffff:2:3:4/tcp/1'))
  expect(of('/ip6/2001:db8:0:1::1/tcp/1')).not.toBe(of('/ip6/2001:db8:0:2::1/tcp/1'))
  expect(of('/ip6zone/eth0/ip6/fe80::1/tcp/1')).toBe(of('/ip6/fe80::2/tcp/1'))
})

test('an IPv4 address is the same on a socket for both', () => {
  expect(of('/ip6/::ffff:203.0.113.1/tcp/1')).toBe('203.0.113.1')
})

test('what has no IP has none', () => {
  expect(of('/dns4/example.org/tcp/1')).toBe('')
})

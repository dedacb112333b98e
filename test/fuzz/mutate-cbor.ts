/** Changes to one node of a DAG-CBOR item: what comes out is well-formed CBOR again, or nearly. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import type { Random } from '../support/random.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { SPECIAL_NAMES } from '../support/names.ts'

/** A map that can hold a key twice, in any order. */
class Pairs {
  readonly entries: [Node, Node][]
  constructor(entries: [Node, Node][]) {
    this.entries = entries
  }
}

/** Encoded already, rightly or not. */
class Raw {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

type Node = null | boolean | number | bigint | string | Uint8Array | Pairs | Raw | Node[]

/** A place at which a node stands. */
interface Place {
  readonly node: Node
  put(node: Node): void
}

/** One change to an item; undefined where the bytes are none. */
export function mutateCbor(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array | undefined {
  const root = read(bytes)
  if (root === undefined) return undefined
  let result: Node = root
  const places = placesOf(root, (node) => (result = node))
  const place = random.pick(places)
  place.put(changed(place.node, random, other, places))
  return encoded(result)
}

function encoded(node: Node): Uint8Array {
  const parts: Uint8Array[] = []
  write(node, parts)
  return Buffer.concat(parts)
}

function read(bytes: Uint8Array): Node | undefined {
  try {
    return toNode(dagCbor.decode(bytes))
  } catch {
    return undefined
  }
}

function toNode(value: unknown): Node {
  if (value instanceof CID) return new Raw(Buffer.concat([head(6, 42), head(2, value.bytes.byteLength + 1), Uint8Array.of(0), value.bytes]))
  if (Array.isArray(value)) return value.map(toNode)
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array))
    return new Pairs(Object.entries(value).map(([key, item]) => [key, toNode(item)]))
  return value as Node
}

function placesOf(node: Node, put: (node: Node) => void, found: Place[] = []): readonly Place[] {
  found.push({ node, put })
  if (Array.isArray(node)) node.forEach((item, i) => placesOf(item, (value) => (node[i] = value), found))
  if (node instanceof Pairs) {
    for (const entry of node.entries) {
      placesOf(entry[1], (value) => (entry[1] = value), found)
      if (found.length > 400) break
    }
  }
  return found
}

/** Text that objects treat specially, and names of the protocol. */
const WORDS = [...SPECIAL_NAMES, 'v', 'network', 'pinset', 'at', '']

const NUMBERS = [0, 1, -1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n, -(2n ** 64n)]

/** Well-formed CBOR that is not canonical DAG-CBOR, and what ends too early. */
const ODD = [
  'f7',
  'f4',
  'f90000',
  'fb7ff8000000000000',
  'fb3ff0000000000000',
  '1800',
  '1900ff',
  '5801',
  '5f4100ff',
  '9fff',
  'bfff',
  'c0',
  'd82a',
  'd82a40',
  'd82a4100',
  'd82a450001550000',
  '9affffffff',
  'bb0000000100000000',
  '5bffffffffffffffff',
  '7f6161ff',
  '63efbbbf',
  '62c328',
  'ff',
  'a1614101',
  'a2616101616101'
]

function changed(node: Node, random: Random, other: Uint8Array, places: readonly Place[]): Node {
  if (node instanceof Uint8Array && node.byteLength > 8 && random.chance(0.5)) {
    const inside = mutateCbor(node, random, other)
    if (inside !== undefined) return inside
  }
  switch (random.between(0, 9)) {
    case 0:
      return anything(random)
    case 1:
      // As bytes: it may be one that this one stands in.
      return new Raw(encoded(random.pick(places).node))
    case 2:
      return new Raw(Buffer.from(random.pick(ODD), 'hex'))
    case 3: {
      let wrapped = node
      for (let i = random.pick(random.chance(0.95) ? [1, 1, 2, 15, 16, 17] : [300]); i > 0; i--)
        wrapped = random.chance(0.8) ? [wrapped] : new Pairs([['a', wrapped]])
      return wrapped
    }
    default:
      return alike(node, random, other)
  }
}

/** Of the same type, mostly. */
function alike(node: Node, random: Random, other: Uint8Array): Node {
  if (typeof node === 'number' || typeof node === 'bigint')
    return random.chance(0.5) ? random.pick(NUMBERS) : Number(node) + random.between(-2, 2)
  if (typeof node === 'string') return random.chance(0.4) ? random.pick(WORDS) : textLike(node, random)
  if (node instanceof Uint8Array) return mutateBytes(node, random, other)
  if (node instanceof Raw) return random.chance(0.5) ? new Raw(mutateBytes(node.bytes, random, other)) : link(random)
  if (typeof node === 'boolean') return !node
  const items: unknown[] | undefined = node instanceof Pairs ? node.entries : Array.isArray(node) ? node : undefined
  if (items === undefined) return anything(random)
  const i = random.between(0, Math.max(0, items.length - 1))
  const kind = random.between(0, 4)
  if (kind === 0) items.splice(i, 1)
  else if (kind === 1 && items.length > 0) items.push(items[i])
  else if (kind === 2 && items.length > 1) items.reverse()
  else if (kind === 3 && items.length > 0)
    for (let n = random.pick(random.chance(0.95) ? [1, 1, 1, 8, 9, 17] : [33, 1_001]); n > 0; n--) items.push(items[i])
  else items.push(node instanceof Pairs ? [random.pick(WORDS), anything(random)] : anything(random))
  return node
}

function textLike(text: string, random: Random): string {
  const place = random.between(0, text.length)
  const put = random.pick(['', 'a', '.', '-', '"', '*', ' ', '\0', '\n', '\u001b[2J', '\uFEFF', '\u202e', 'é', '🎉', 'a'.repeat(300)])
  return text.slice(0, place) + put + text.slice(place + random.between(0, 3))
}

function anything(random: Random): Node {
  return random.pick<() => Node>([
    () => null,
    () => random.chance(0.5),
    () => random.pick(NUMBERS),
    () => random.pick(WORDS),
    () => Uint8Array.from({ length: random.pick([0, 1, 31, 32, 33, 51, 64, 65]) }, () => random.between(0, 255)),
    () => [],
    () => new Pairs([]),
    () => [anything(random)],
    () => new Pairs([[random.pick(WORDS), random.pick(WORDS)]]),
    () =>
      new Pairs([
        ['/', 'x'],
        ['bytes', 'x']
      ]),
    () => link(random)
  ])()
}

/** A link with a CID of some codec, hash and length. */
function link(random: Random): Raw {
  const digest = Uint8Array.from({ length: random.pick([0, 1, 32, 32, 64, 92, 93, 127]) }, () => random.between(0, 255))
  const code = random.pick([0x55, 0x70, 0x71, 0x0129, 0x7f, 0])
  const hash = random.pick([0x12, 0x12, 0x00, 0x13, 0x1b, 0x7f])
  const codec = code < 0x80 ? [code] : [(code & 0x7f) | 0x80, code >> 7]
  const cid = Buffer.concat([Uint8Array.of(1, ...codec, hash, digest.byteLength), digest])
  return new Raw(Buffer.concat([head(6, 42), head(2, cid.byteLength + 1), Uint8Array.of(random.pick([0, 0, 0, 1])), cid]))
}

function write(node: Node, parts: Uint8Array[]): void {
  if (node instanceof Raw) parts.push(node.bytes)
  else if (node instanceof Uint8Array) parts.push(head(2, node.byteLength), node)
  else if (typeof node === 'string') {
    const bytes = Buffer.from(node)
    parts.push(head(3, bytes.byteLength), bytes)
  } else if (typeof node === 'number' && !Number.isInteger(node)) {
    const float = Buffer.of(0xfb, 0, 0, 0, 0, 0, 0, 0, 0)
    float.writeDoubleBE(node, 1)
    parts.push(float)
  } else if (typeof node === 'number' || typeof node === 'bigint') parts.push(node < 0 ? head(1, -1n - BigInt(node)) : head(0, node))
  else if (typeof node === 'boolean') parts.push(Uint8Array.of(node ? 0xf5 : 0xf4))
  else if (node === null) parts.push(Uint8Array.of(0xf6))
  else if (Array.isArray(node)) {
    parts.push(head(4, node.length))
    for (const item of node) write(item, parts)
  } else {
    parts.push(head(5, node.entries.length))
    for (const [key, item] of node.entries) {
      write(key, parts)
      write(item, parts)
    }
  }
}

function head(major: number, argument: number | bigint): Uint8Array {
  const value = BigInt(argument)
  const first = major << 5
  if (value < 24n) return Uint8Array.of(first | Number(value))
  const size = value < 0x100n ? 0 : value < 0x1_0000n ? 1 : value < 0x1_0000_0000n ? 2 : 3
  const bytes = Buffer.alloc(1 + 2 ** size)
  bytes[0] = first | (24 + size)
  if (size === 3) bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 1)
  else bytes.writeUIntBE(Number(value), 1, 2 ** size)
  return bytes
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_KEY_LINES } from '../../src/protocol/limits.ts'
import { formatKnownNode, distrustNodes, meetNode, parseKnownNodes } from '../../src/protocol/known-nodes.ts'
import { publicKeyOfSeed } from '../../src/protocol/signature.ts'
import { keyBlob, nodeIdOf } from '../../src/protocol/ssh-key.ts'

const node = (n: number) => nodeIdOf(keyBlob(publicKeyOfSeed(new Uint8Array(32).fill(n))))

test('nodes and comments are read in order; bad lines are named and the others hold', () => {
  const text = `\uFEFF# mine\r\n${node(1)} berlin, big disk\r\n\r\nQmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N rsa\nhello\n${node(2)}\n${node(1)} again`
  const { nodes, problems } = parseKnownNodes(text)
  expect([...nodes]).toEqual([
    [node(1), 'berlin, big disk'],
    [node(2), '']
  ])
  expect(problems.map(({ line }) => line)).toEqual([4, 5])
})

test('lines beyond the bound are reported', () => {
  const { nodes, problems } = parseKnownNodes(`${'\n'.repeat(MAX_KEY_LINES)}${node(1)}\n`)
  expect({ size: nodes.size, line: problems[0]?.line }).toEqual({ size: 0, line: MAX_KEY_LINES + 1 })
})

test('what is written is read back, and a comment stays on its line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (comment) => {
      const { nodes, problems } = parseKnownNodes(`${formatKnownNode(node(1), comment)}\n`)
      expect({ ids: [...nodes.keys()], problems }).toEqual({ ids: [node(1)], problems: [] })
    })
  )
})

test('reading never fails', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseKnownNodes(text)))
})

describe('first contact', () => {
  const [a, b] = [node(1), node(2)]
  const [where, day] = ['203.0.113.1:4101', '2026-11-28']
  const met = (text: string, node: string): string => {
    const contact = meetNode(text, node, where, day)
    return contact.kind === 'first' ? contact.text : contact.kind
  }

  test('the first that answers at an address is trusted, another is not', () => {
    const text = met('# mine\r\n', a)
    expect(text).toBe(`# mine\r\n${a} first contact ${day} ${where}\r\n`)
    expect(met(text, a)).toBe('known')
    expect(meetNode(text, b, where, day)).toEqual({ kind: 'changed', was: a })
    expect(met(`${text}${b} by hand\n`, b)).toBe('known')
  })

  test('the address of a node that is known already passes to nobody else', () => {
    const text = met(`${a} by hand`, a)
    expect(parseKnownNodes(text)).toMatchObject({ nodes: new Map([[a, 'by hand']]), contacts: new Map([[where, a]]), problems: [] })
    expect(met(text, b)).toBe('changed')
  })

  test('who was distrusted does not come back by itself', () => {
    const text = distrustNodes(`# mine\n${a} first contact ${day} ${where}\nnonsense\n${b} two\n${a}`, new Set([a]), day) ?? ''
    expect(text).toBe(`# mine\nnonsense\n${b} two\n# distrusted ${day} ${a} first contact ${day} ${where}\n`)
    expect(parseKnownNodes(text)).toMatchObject({ nodes: new Map([[b, 'two']]), distrusted: new Set([a]) })
    expect(met(text, a)).toBe('distrusted')
    expect(distrustNodes(text, new Set([a]), day)).toBeUndefined()
    expect(parseKnownNodes(`${text}${a} trusted again\n`).distrusted.size).toBe(0)
  })

  test('who never was known can be distrusted', () => {
    expect(distrustNodes('', new Set([a]), day)).toBe(`# distrusted ${day} ${a}\n`)
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_KEY_LINES } from '../../src/protocol/limits.ts'
import { formatKnownNode, parseKnownNodes } from '../../src/protocol/known-nodes.ts'
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

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createOutput } from '../../src/cli/output.ts'

function captured(isTerminal: boolean, env: NodeJS.ProcessEnv = {}, json = false) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream, { isTTY: isTerminal, columns: 20, rows: 10 })
  )
  const streams = { stdout, stderr } as unknown as Parameters<typeof createOutput>[1]
  const read = (stream: PassThrough | undefined): string => (stream?.read() as Buffer | null)?.toString() ?? ''
  return { output: createOutput(json, streams, env), out: () => read(stdout), err: () => read(stderr) }
}

test('what strangers say cannot steer the terminal', () => {
  const { output, out, err } = captured(true)
  output.result('a\u001b[2Jb\u0007\u202ec\td\ne')
  output.note('\u009b31m')
  expect(out()).toBe('a\\x1b[2Jb\\x07\\x202ec\\x09d\ne\n')
  expect(err()).toBe('\\x9b31m\n')
})

test('nor with --json, where it stays the same JSON', () => {
  const { output, out } = captured(true, {}, true)
  const codes = [0x00, 0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069]
  const event = { version: codes.map((code) => String.fromCharCode(code)).join('\\x"'), name: 'é 漢 😀 שלום' }
  output.event({ ...event, [event.version]: 1 })
  const line = out()
  expect(line).not.toMatch(/[^\P{Cc}\n]|[\p{Bidi_Control}\u2028\u2029]/u)
  expect(line).toContain(event.name)
  expect(JSON.parse(line)).toEqual({ ...event, [event.version]: 1 })
})

test('our own styles stay on a terminal, and are left out elsewhere and with NO_COLOR', () => {
  const styled = captured(true)
  styled.output.note(styled.output.bold('x') + styled.output.dim('y'))
  expect(styled.err()).toBe('\u001b[1mx\u001b[0m\u001b[2my\u001b[0m\n')
  for (const plain of [captured(false), captured(true, { NO_COLOR: '1' })]) {
    plain.output.note(plain.output.bold('x'))
    expect(plain.err()).toBe('x\n')
  }
})

test('live lines replace each other on a terminal and fit it', () => {
  const { output, err } = captured(true)
  output.live(['one', 'x'.repeat(50)])
  expect(err()).toBe(`one\n${'x'.repeat(19)}\n`)
  output.live(['two'])
  expect(err()).toBe('\u001b[2A\u001b[Jtwo\n')
  output.settle()
  expect(err()).toBe('\u001b[1A\u001b[J')
  const elsewhere = captured(false)
  elsewhere.output.live(['one'])
  expect(elsewhere.err()).toBe('')
})

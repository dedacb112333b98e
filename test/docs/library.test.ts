import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { generateKeyFile } from '../../src/identity/key-file.ts'
import { blocks, read, ROOT } from './support.ts'

const undo = new AsyncDisposableStack()
afterEach(() => undo.disposeAsync())

/** Runs the agent from the sources until the test ends; resolves once it is ready. */
async function startNode(home: string, network: string, line: string): Promise<{ readonly address: string; readonly peer: string }> {
  const args = [
    'node',
    '--json',
    '--home',
    home,
    '--network',
    network,
    '--authorize',
    line,
    '--backend',
    'helia',
    '--listen',
    '/ip4/127.0.0.1/tcp/0'
  ]
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  undo.defer(() => end(child))
  const said = collect(child.stderr)
  for await (const text of createInterface({ input: child.stdout })) {
    const event = JSON.parse(text) as { event: string; peer: string; addresses: string[] }
    if (event.event === 'ready') return { address: event.addresses[0] as string, peer: event.peer }
  }
  throw new Error(`the node ended before it was ready: ${said()}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.setEncoding('utf8').on('data', (part: string) => (text += part))
  return () => text
}

/** The example with what a reader would put in its place; each of it must stand there. */
function fill(example: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((text, [name, value]) => {
    expect(text.split(name).length, `${name} in the example`).toBe(2)
    return text.replace(name, JSON.stringify(value))
  }, example)
}

test("README's library example runs against a real node", async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-docs-'))
  undo.defer(() => rm(dir, { recursive: true, force: true }))
  const { line } = await generateKeyFile(join(dir, 'key'), 'you@laptop')
  const node = await startNode(join(dir, 'node'), 'docs-example', line)
  await mkdir(join(dir, 'site'))
  await writeFile(join(dir, 'site', 'index.html'), '<h1>hello</h1>\n')

  const examples = blocks(read('README.md')).filter(({ language }) => language === 'js')
  expect(examples).toHaveLength(1)
  const code = fill(examples[0]?.text ?? '', {
    "'pinsub'": pathToFileURL(join(ROOT, 'src/index.ts')).href,
    "'brief-beaver-a0aa369'": 'docs-example',
    "'/home/you/.pinsub/id_ed25519'": join(dir, 'key'),
    "'/ip4/203.0.113.1/tcp/4101'": node.address,
    "add('site'": join(dir, 'site')
  }).replace('sender."', 'sender.add("')
  await writeFile(join(dir, 'example.mjs'), code)

  const child = spawn(process.execPath, [join(dir, 'example.mjs')], { stdio: ['ignore', 'pipe', 'pipe'] })
  undo.defer(() => end(child))
  const [out, err] = [collect(child.stdout), collect(child.stderr)]
  const [exit] = (await once(child, 'close')) as [number | null]
  expect({ exit, err: err() }).toEqual({ exit: 0, err: '' })
  expect(out()).toContain(`${node.peer} pinned\n`)
  expect(out()).toMatch(/^bafy\w+ 1\/1 ok$/m)
  expect(out()).toMatch(/^bafy\w+ site 1$/m)
})

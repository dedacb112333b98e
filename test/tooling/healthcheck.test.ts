/** The container's health check, against the shipped agent: alive, hung, and gone. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

let home: string
let agent: ChildProcess
let port: string

/** Runs the check; its exit code and what it complained of. */
function check(): Promise<{ code: number; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [join(ROOT, 'scripts/healthcheck.mjs'), port], (error, _, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stderr })
    })
  })
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'pinsub-health-'))
  const args = ['node', '--json', '--home', home, '--network', 'health-check', '--backend', 'helia', '--listen', '/ip4/127.0.0.1/tcp/0']
  agent = spawn(process.execPath, [join(ROOT, 'dist/pinsub.js'), ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = (await once(createInterface({ input: agent.stdout! }), 'line')) as [string]
  const { addresses } = JSON.parse(line) as { addresses: string[] }
  port = /\/tcp\/(\d+)\//.exec(addresses[0] ?? '')?.[1] ?? ''
})

afterAll(async () => {
  agent.kill('SIGKILL')
  if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit')
  await rm(home, { recursive: true })
})

test('an agent that listens is healthy, one that hangs or is gone is not', async () => {
  expect(await check()).toEqual({ code: 0, stderr: '' })
  agent.kill('SIGSTOP')
  expect(await check()).toEqual({ code: 1, stderr: 'no answer in 5 s\n' })
  agent.kill('SIGCONT')
  expect(await check()).toEqual({ code: 0, stderr: '' })
  agent.kill('SIGTERM')
  await once(agent, 'exit')
  expect((await check()).stderr).toContain('ECONNREFUSED')
})

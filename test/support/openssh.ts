/** OpenSSH's own programs: keys that they make, and an agent that ends with its test. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { test } from 'vitest'

const run = promisify(execFile)

/** Whether OpenSSH's client is installed, whole. */
export const hasOpenssh = ['ssh', 'ssh-keygen', 'ssh-agent', 'ssh-add'].every(
  (program) => spawnSync(program, ['-?'], { stdio: 'ignore' }).error === undefined
)

/** Says loudly that what follows is not tried, where OpenSSH is missing. */
export function sayWithoutOpenssh(what: string): void {
  if (hasOpenssh) return
  const message = `SKIPPED: OpenSSH's client (ssh, ssh-keygen, ssh-agent, ssh-add) is not on PATH, so ${what} NOT tried`
  console.warn(message)
  test.skip(message, () => {})
}

/** Makes a key with `ssh-keygen`: Ed25519 without a passphrase unless `args` say otherwise; returns its path. */
export async function sshKeygen(path: string, comment: string, args: readonly string[] = []): Promise<string> {
  const type = args.includes('-t') ? [] : ['-t', 'ed25519']
  const passphrase = args.includes('-N') ? [] : ['-N', '']
  await run('ssh-keygen', ['-q', ...type, ...passphrase, '-C', comment, ...args, '-f', path])
  return path
}

/** A real ssh-agent. */
export interface TestAgent extends AsyncDisposable {
  readonly socket: string
  /** Runs `ssh-add` against it; answers with what it says. */
  add(...args: string[]): Promise<string>
  /** Locks it with a passphrase, as `ssh-add -x` does. */
  lock(): Promise<void>
}

/** Starts an agent without keys; disposing of it ends it. */
export async function startSshAgent(): Promise<TestAgent> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-agent-'))
  const socket = join(dir, 'socket')
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  // It names its socket as soon as it listens.
  await once(createInterface({ input: child.stdout }), 'line')
  const env = { PATH: process.env['PATH'], SSH_AUTH_SOCK: socket }
  return {
    socket,
    async add(...args) {
      const { stdout, stderr } = await run('ssh-add', args, { env })
      return stdout + stderr
    },
    async lock() {
      const answer = join(dir, 'answer')
      await writeFile(answer, '#!/bin/sh\necho locked\n', { mode: 0o700 })
      await run('ssh-add', ['-x'], { env: { ...env, SSH_ASKPASS: answer, SSH_ASKPASS_REQUIRE: 'force' } })
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      await rm(dir, { recursive: true, force: true })
    }
  }
}

/** Something that listens where an agent should and answers each message as `answer` says; undefined says nothing. */
export async function startFalseAgent(answer: (request: Uint8Array) => Uint8Array | 'hang up' | undefined): Promise<TestSocket> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-agent-'))
  const socket = join(dir, 'socket')
  const open = new Set<Socket>()
  const server = createServer((connection) => {
    open.add(connection)
    connection.on('error', () => {})
    connection.on('data', (request) => {
      const said = answer(request)
      if (said === 'hang up') connection.end()
      else if (said !== undefined) {
        connection.write(said.subarray(0, 3))
        setImmediate(() => connection.write(said.subarray(3)))
      }
    })
  })
  server.listen(socket)
  await once(server, 'listening')
  return {
    socket,
    async [Symbol.asyncDispose]() {
      open.forEach((connection) => connection.destroy())
      server.close()
      await once(server, 'close')
      await rm(dir, { recursive: true, force: true })
    }
  }
}

/** A socket that is there until it is disposed of. */
export interface TestSocket extends AsyncDisposable {
  readonly socket: string
}

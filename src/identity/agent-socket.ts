/** One question to an ssh-agent over its socket, and the answer: bounded in time and size. */
import { connect } from 'node:net'
import { MAX_AGENT_MESSAGE_BYTES } from '../protocol/ssh-agent.ts'
import { AgentError } from './errors.ts'

const LENGTH_BYTES = 4

/** Sends a framed request to the agent that listens at `socket`; resolves with its answer, without the length. Rejects with {@link AgentError}. */
export function askAgent(socket: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const fail = (code: 'no-agent' | 'no-answer' | 'broken', message: string, cause?: unknown): void =>
    reject(new AgentError(code, message, { cause }))
  let received = Buffer.alloc(0)
  const connection = connect(socket, () => connection.write(request))
  const timer = setTimeout(
    () =>
      fail('no-answer', `no answer from the ssh-agent at ${socket} (SSH_AUTH_SOCK) in ${timeoutMs / 1_000} s: does it wait for somebody?`),
    timeoutMs
  )
  connection.on('data', (part: Buffer) => {
    received = Buffer.concat([received, part])
    if (received.byteLength < LENGTH_BYTES) return
    const length = received.readUInt32BE()
    if (length === 0 || length > MAX_AGENT_MESSAGE_BYTES) fail('broken', `what listens at ${socket} (SSH_AUTH_SOCK) is no ssh-agent`)
    else if (received.byteLength >= LENGTH_BYTES + length) resolve(new Uint8Array(received.subarray(LENGTH_BYTES, LENGTH_BYTES + length)))
  })
  connection.on('error', (err: NodeJS.ErrnoException) => fail('no-agent', `${reasonOf(err, socket)}. Start one: eval "$(ssh-agent)"`, err))
  connection.on('close', () => fail('broken', `the ssh-agent at ${socket} (SSH_AUTH_SOCK) hung up without an answer`))
  return promise.finally(() => {
    clearTimeout(timer)
    connection.destroy()
  })
}

function reasonOf({ code, message }: NodeJS.ErrnoException, socket: string): string {
  switch (code) {
    case 'ENOENT':
      return `no ssh-agent: there is nothing at ${socket} (SSH_AUTH_SOCK)`
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
      return `no ssh-agent: nothing listens at ${socket} (SSH_AUTH_SOCK)`
    case 'EACCES':
    case 'EPERM':
      return `this user may not speak to the ssh-agent at ${socket} (SSH_AUTH_SOCK)`
    default:
      return `no ssh-agent at ${socket} (SSH_AUTH_SOCK): ${message}`
  }
}

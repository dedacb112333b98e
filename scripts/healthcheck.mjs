/**
 * The container's health check: exits 0 when what listens on 127.0.0.1 answers the first word of libp2p, multistream-select's.
 * A connection alone would prove only that the kernel is alive. The port is the first argument, 4101 unless given.
 * See https://github.com/multiformats/multistream-select
 */
import { connect } from 'node:net'

const HELLO = '\x13/multistream/1.0.0\n'
const ANSWER_MS = 5_000

/** Says why, and ends. */
function fail(reason) {
  console.error(reason)
  process.exit(1)
}

let answer = ''
const socket = connect(Number(process.argv[2] ?? 4101), '127.0.0.1', () => socket.write(HELLO))
socket.setEncoding('latin1')
socket.on('data', (text) => {
  answer += text
  if (answer.startsWith(HELLO)) process.exit(0)
})
socket.on('error', (err) => fail(err.message))
socket.on('close', () => fail('closed without an answer'))
setTimeout(() => fail(`no answer in ${ANSWER_MS / 1_000} s`), ANSWER_MS)

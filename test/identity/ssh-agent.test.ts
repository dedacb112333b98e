/** Signing through ssh-agent: with the real one, and with what else may listen there. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { concat } from 'uint8arrays/concat'
import { describe, expect, test } from 'vitest'
import { agentSigner } from '../../src/identity/ssh-agent.ts'
import { createSeedSigner, verifySignature } from '../../src/protocol/signature.ts'
import { sshString, sshUint32 } from '../../src/protocol/ssh-wire.ts'
import { hasOpenssh, sayWithoutOpenssh, sshKeygen, startFalseAgent, startSshAgent } from '../support/openssh.ts'
import { temporaryFolder } from './folder.ts'

const MESSAGE = new TextEncoder().encode('pin it')
const failure = (code: string, message: RegExp | string) => ({
  name: 'AgentError',
  code,
  message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message)
})

sayWithoutOpenssh('signing through ssh-agent is')

describe.runIf(hasOpenssh)('a real ssh-agent', () => {
  test('signs for a key named by its comment, by its fingerprint or the beginning of it, and by its public half', async () => {
    await using agent = await startSshAgent()
    const path = await sshKeygen(join(await temporaryFolder(), 'id'), 'ann laptop')
    await agent.add(path)
    const byComment = await agentSigner('ann laptop', agent)
    const { author, blob } = byComment.signer
    for (const name of ['ann laptop', author, author.slice(0, 20), blob]) {
      const { signer, comment } = await agentSigner(name, agent)
      expect({ author: signer.author, comment }).toEqual({ author, comment: 'ann laptop' })
      expect(verifySignature(blob, 'pinsub', MESSAGE, await signer.sign('pinsub', MESSAGE))).toBe(true)
    }
  })

  test('without keys, or locked, says how to add one', async () => {
    await using agent = await startSshAgent()
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('no-key', /holds no key "ann", nor any other: ssh-add FILE/))
    await agent.add(await sshKeygen(join(await temporaryFolder(), 'id'), 'ann'))
    const { signer } = await agentSigner('ann', agent)
    await agent.lock()
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('no-key', 'ssh-add -X if it is locked'))
    await expect(signer.sign('pinsub', MESSAGE)).rejects.toMatchObject(failure('refused', /locked \(ssh-add -X\)/))
  })

  test('that lacks the key lists what it has', async () => {
    await using agent = await startSshAgent()
    const dir = await temporaryFolder()
    await agent.add(await sshKeygen(join(dir, 'a'), 'ann'))
    await agent.add(await sshKeygen(join(dir, 'r'), 'rsa key', ['-t', 'rsa', '-b', '2048']))
    const { signer } = await agentSigner('ann', agent)
    const wanted = failure('no-key', /holds no key "bob".*It has:\n {2}SHA256:\S+ ssh-ed25519 ann\n {2}SHA256:\S+ ssh-rsa rsa key$/s)
    await expect(agentSigner('bob', agent)).rejects.toMatchObject(wanted)
    await expect(agentSigner('SHA256:0', agent)).rejects.toMatchObject({ code: 'no-key' })
    expect(signer.author).toMatch(/^SHA256:/)
  })

  test('with several that match says which, and with one that cannot sign says so', async () => {
    await using agent = await startSshAgent()
    const dir = await temporaryFolder()
    await agent.add(await sshKeygen(join(dir, 'a'), 'ann'))
    await agent.add(await sshKeygen(join(dir, 'r'), 'ann', ['-t', 'rsa', '-b', '2048']))
    await agent.add(await sshKeygen(join(dir, 'e'), 'old', ['-t', 'ecdsa']))
    const { signer } = await agentSigner('ann', agent)
    expect(verifySignature(signer.blob, 'pinsub', MESSAGE, await signer.sign('pinsub', MESSAGE))).toBe(true)
    await expect(agentSigner('old', agent)).rejects.toMatchObject(failure('key', /cannot sign commands.*ecdsa-sha2-nistp256 old/s))
    await agent.add(await sshKeygen(join(dir, 'b'), 'ann'))
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('ambiguous', /several.*(ssh-ed25519 ann.*){2}/s))
    expect((await agentSigner(signer.author, agent)).signer.author).toBe(signer.author)
  })

  test('that has lost the key since is named', async () => {
    await using agent = await startSshAgent()
    await agent.add(await sshKeygen(join(await temporaryFolder(), 'id'), 'ann'))
    const { signer } = await agentSigner('ann', agent)
    await agent.add('-D')
    await expect(signer.sign('pinsub', MESSAGE)).rejects.toMatchObject(failure('refused', signer.author))
  })
})

describe('no agent', () => {
  test('without SSH_AUTH_SOCK', async () => {
    await expect(agentSigner('ann', { socket: '' })).rejects.toMatchObject(failure('no-agent', 'SSH_AUTH_SOCK is not set'))
  })

  test('without a socket, and without anybody at it', async () => {
    const socket = join(await temporaryFolder(), 'none')
    await expect(agentSigner('ann', { socket })).rejects.toMatchObject(failure('no-agent', `there is nothing at ${socket}`))
    await writeFile(socket, '')
    await expect(agentSigner('ann', { socket })).rejects.toMatchObject(failure('no-agent', `nothing listens at ${socket}`))
  })
})

describe('something else than an agent', () => {
  const signer = createSeedSigner(new Uint8Array(32).fill(9))
  const keys = sshString(concat([Uint8Array.of(12), sshUint32(1), sshString(signer.blob), sshString('ann')]))
  const answers = (signature: Uint8Array): Uint8Array =>
    sshString(concat([Uint8Array.of(14), sshString(concat([sshString('ssh-ed25519'), sshString(signature)]))]))

  test.each([
    ['a length beyond all bounds', sshUint32(0xffff_ffff), 'is no ssh-agent'],
    ['a length of nothing', sshUint32(0), 'is no ssh-agent'],
    ['the banner of a server', new TextEncoder().encode('SSH-2.0-OpenSSH_9.2\r\n'), 'is no ssh-agent'],
    ['another message', sshString(Uint8Array.of(6)), 'something else than was asked for'],
    ['a count without keys', sshString(concat([Uint8Array.of(12), sshUint32(3)])), 'something else than was asked for'],
    ['more keys than anybody has', sshString(concat([Uint8Array.of(12), sshUint32(0xffff_ffff)])), 'something else than was asked for'],
    ['nothing, and hangs up', 'hang up', 'hung up']
  ] as const)('says %s', async (_, answer, message) => {
    await using agent = await startFalseAgent(() => answer)
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('broken', message))
  })

  test('does not list its keys', async () => {
    await using agent = await startFalseAgent(() => sshString(Uint8Array.of(5)))
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('refused', 'does not list'))
  })

  test('says nothing', { timeout: 10_000 }, async () => {
    await using agent = await startFalseAgent(() => undefined)
    await expect(agentSigner('ann', agent)).rejects.toMatchObject(failure('no-answer', /no answer .* in 5 s/))
  })

  test('answers in pieces, and signs something else: the signature is not used', async () => {
    const other = await signer.sign('pinsub-ack', MESSAGE)
    await using agent = await startFalseAgent((request) => (request[4] === 11 ? keys : answers(other)))
    const found = await agentSigner('ann', agent)
    expect(found.signer.author).toBe(signer.author)
    await expect(found.signer.sign('pinsub', MESSAGE)).rejects.toMatchObject(failure('broken', `does not fit ${signer.author}`))
    expect(await found.signer.sign('pinsub-ack', MESSAGE)).toEqual(other)
  })

  test.each([
    ['of 63 bytes', answers(new Uint8Array(63))],
    ['of another type', sshString(concat([Uint8Array.of(14), sshString(concat([sshString('ssh-rsa'), sshString(new Uint8Array(64))]))]))]
  ])('answers with a signature %s', async (_, answer) => {
    await using agent = await startFalseAgent((request) => (request[4] === 11 ? keys : answer))
    const found = await agentSigner('ann', agent)
    await expect(found.signer.sign('pinsub', MESSAGE)).rejects.toMatchObject(failure('broken', 'something else'))
  })
})

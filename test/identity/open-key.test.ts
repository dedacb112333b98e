/** Keys by the names that people give them, and passphrases that lie in files. */
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { generateKeyFile } from '../../src/identity/key-file.ts'
import { openKey } from '../../src/identity/open-key.ts'
import { readPassphraseFile } from '../../src/identity/passphrase-file.ts'
import { verifySignature } from '../../src/protocol/signature.ts'
import { hasOpenssh, sayWithoutOpenssh, sshKeygen, startSshAgent } from '../support/openssh.ts'
import { temporaryFolder } from './folder.ts'

const MESSAGE = new TextEncoder().encode('x')

describe('a file', () => {
  test('is opened at once, asking for its passphrase', async () => {
    const path = join(await temporaryFolder(), 'id')
    const { author } = await generateKeyFile(path, 'ann', 'secret')
    const key = await openKey(path, { ask: async () => 'secret' })
    expect(key).toMatchObject({ signer: { author }, comment: 'ann', place: { file: path } })
    await expect(openKey(path)).rejects.toMatchObject({ code: 'encrypted' })
  })

  test('stays locked for who only looks, and is opened once when something is signed', async () => {
    const path = join(await temporaryFolder(), 'id')
    const { author } = await generateKeyFile(path, 'ann', 'secret')
    let asked = 0
    const { signer, comment } = await openKey(path, { isLazy: true, ask: async () => (asked++, 'secret') })
    expect({ author: signer.author, comment, asked }).toEqual({ author, comment: 'ann', asked: 0 })
    const signatures = await Promise.all([1, 2].map(() => signer.sign('pinsub', MESSAGE)))
    for (const signature of signatures) expect(verifySignature(signer.blob, 'pinsub', MESSAGE, signature)).toBe(true)
    expect(asked).toBe(1)
  })

  test('that is locked has the comment of the .pub beside it, if that is its own', async () => {
    const dir = await temporaryFolder()
    const path = join(dir, 'id')
    await generateKeyFile(path, 'ann', 'secret')
    await rm(`${path}.pub`)
    expect((await openKey(path, { isLazy: true })).comment).toBe('')
    const { line } = await generateKeyFile(join(dir, 'other'), 'bob')
    await writeFile(`${path}.pub`, `${line}\n`)
    expect((await openKey(path, { isLazy: true })).comment).toBe('')
  })
})

sayWithoutOpenssh('keys of ssh-agent by name are')

describe.runIf(hasOpenssh)('a key of ssh-agent', () => {
  test('by agent:…, and by its public half', async () => {
    await using agent = await startSshAgent()
    const path = await sshKeygen(join(await temporaryFolder(), 'id'), 'ann')
    const { signer: own } = await openKey(path)
    await agent.add(path)
    await rm(path)
    for (const name of ['agent:ann', `agent:${own.author}`, `${path}.pub`]) {
      const { signer, ...rest } = await openKey(name, agent)
      expect(rest).toEqual({ comment: 'ann', place: { agent: 'ann' } })
      expect(await signer.sign('pinsub', MESSAGE)).toEqual(await own.sign('pinsub', MESSAGE))
    }
  })

  test('whose public half is named and which is not there: what to do', async () => {
    await using agent = await startSshAgent()
    const path = await sshKeygen(join(await temporaryFolder(), 'id'), 'ann')
    const absent = openKey(`${path}.pub`, agent)
    await expect(absent).rejects.toMatchObject({
      name: 'AgentError',
      code: 'no-key',
      message: expect.stringMatching(/id\.pub is a public key.*ssh-add FILE/)
    })
    const alone = openKey(`${path}.pub`, { socket: '' })
    await expect(alone).rejects.toMatchObject({
      code: 'no-agent',
      message: expect.stringMatching(/name the private one.*SSH_AUTH_SOCK is not set/)
    })
    const rsa = await sshKeygen(`${path}-rsa`, '', ['-t', 'rsa', '-b', '2048'])
    await expect(openKey(`${rsa}.pub`, agent)).rejects.toMatchObject({
      name: 'IdentityError',
      code: 'key',
      message: expect.stringContaining('ssh-rsa')
    })
  })
})

describe('a passphrase file', () => {
  const file = async (text: string): Promise<string> => {
    const path = join(await temporaryFolder(), 'passphrase')
    await writeFile(path, text, { mode: 0o600 })
    return path
  }

  test.each(['secret', 'secret\n', 'secret\r\n', 'secret\nmore\n'])('%j', async (text) => {
    expect(await readPassphraseFile(await file(text))).toBe('secret')
  })

  test('keeps blanks: they may be meant', async () => {
    expect(await readPassphraseFile(await file(' two words \n'))).toBe(' two words ')
  })

  test.each(['', '\n', '\nsecret\n'])('%j is refused: no passphrase stands in the first line', async (text) => {
    await expect(readPassphraseFile(await file(text))).rejects.toMatchObject({ code: 'empty' })
  })

  test('that is missing, or that others may read, is refused and never quoted', async () => {
    const path = await file('secret')
    await chmod(path, 0o644)
    const refused = readPassphraseFile(path)
    await expect(refused).rejects.toMatchObject({ code: 'permissions', message: expect.stringContaining(`chmod 600 ${path}`) })
    await expect(refused).rejects.not.toThrow('secret')
    await expect(readPassphraseFile(`${path}-none`)).rejects.toMatchObject({
      code: 'missing',
      message: expect.stringContaining('passphrase file')
    })
  })
})

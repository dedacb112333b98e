import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { generateKeyFile, loadSigner } from '../../src/identity/key-file.ts'
import { toSshsig, verifySignature } from '../../src/protocol/signature.ts'
import { parseKeyLine } from '../../src/protocol/authorized-keys.ts'
import { hasOpenssh, sayWithoutOpenssh } from '../support/openssh.ts'
import { temporaryFolder } from './folder.ts'

const run = promisify(execFile)
const mode = async (path: string) => (await stat(path)).mode & 0o777

describe('a generated key', () => {
  test('is read back, and its public line names the same author', async () => {
    const path = join(await temporaryFolder(), 'id_ed25519')
    const { line, author } = await generateKeyFile(path, 'ann@laptop')
    const { signer, comment } = await loadSigner(path)
    expect({ author: signer.author, comment }).toEqual({ author, comment: 'ann@laptop' })
    expect(parseKeyLine(line)).toMatchObject({ author, comment: 'ann@laptop' })
    expect(await readFile(`${path}.pub`, 'utf8')).toBe(`${line}\n`)
    expect([await mode(path), await mode(`${path}.pub`)]).toEqual([0o600, 0o644])
    const message = new TextEncoder().encode('x')
    expect(verifySignature(signer.blob, 'pinsub', message, await signer.sign('pinsub', message))).toBe(true)
  })

  test('leaves nothing else in the folder, and its comment stays one line', async () => {
    const dir = await temporaryFolder()
    const { line } = await generateKeyFile(join(dir, 'key'), ' a\nssh-ed25519 b ')
    expect(line.endsWith(' a ssh-ed25519 b')).toBe(true)
    expect((await readdir(dir)).sort()).toEqual(['key', 'key.pub'])
  })

  test.each(['key', 'key.pub'])('never overwrites %s', async (taken) => {
    const dir = await temporaryFolder()
    await writeFile(join(dir, taken), 'mine')
    await expect(generateKeyFile(join(dir, 'key'), '')).rejects.toMatchObject({
      name: 'IdentityError',
      code: 'exists',
      message: expect.stringContaining(join(dir, taken))
    })
    expect(await readdir(dir)).toEqual([taken])
    expect(await readFile(join(dir, taken), 'utf8')).toBe('mine')
  })

  test('two at once: one key is made', async () => {
    const path = join(await temporaryFolder(), 'key')
    const results = await Promise.allSettled([1, 2, 3, 4].map((n) => generateKeyFile(path, `${n}`)))
    const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(made).toHaveLength(1)
    expect((await loadSigner(path)).signer.author).toBe(made[0]?.author)
    expect(await readFile(`${path}.pub`, 'utf8')).toBe(`${made[0]?.line}\n`)
  })

  test('in a folder that is missing names the folder', async () => {
    const dir = join(await temporaryFolder(), 'none')
    await expect(generateKeyFile(join(dir, 'key'), '')).rejects.toMatchObject({ code: 'missing', message: expect.stringContaining(dir) })
  })
})

describe('a key that cannot be used is named with the way out', () => {
  test('missing', async () => {
    const path = join(await temporaryFolder(), 'id')
    await expect(loadSigner(path)).rejects.toMatchObject({
      name: 'IdentityError',
      code: 'missing',
      file: path,
      message: expect.stringMatching(`${path}.*pinsub init`)
    })
  })

  test.each([0o640, 0o604, 0o644])('mode %o', async (bits) => {
    const path = join(await temporaryFolder(), 'id')
    await generateKeyFile(path, '')
    await chmod(path, bits)
    await expect(loadSigner(path)).rejects.toMatchObject({ code: 'permissions', message: expect.stringContaining(`chmod 600 ${path}`) })
    await chmod(path, 0o400)
    await expect(loadSigner(path)).resolves.toBeDefined()
  })

  test.each([
    ['an empty file', '', 'key', 'not an OpenSSH private key'],
    ['text', 'hello', 'key', 'not an OpenSSH private key'],
    ['a damaged key', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', 'key', 'damaged'],
    ["another program's PEM", '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n', 'key', 'EC PRIVATE KEY'],
    ['a huge file', 'x'.repeat(100_000), 'size', 'right file']
  ])('%s', async (_, content, code, message) => {
    const path = join(await temporaryFolder(), 'id')
    await writeFile(path, content, { mode: 0o600 })
    await expect(loadSigner(path)).rejects.toMatchObject({ name: 'IdentityError', code, message: expect.stringContaining(message) })
    await expect(loadSigner(path)).rejects.toThrow(path)
  })

  test('the public half', async () => {
    const path = join(await temporaryFolder(), 'id')
    await generateKeyFile(path, '')
    await chmod(`${path}.pub`, 0o600)
    await expect(loadSigner(`${path}.pub`)).rejects.toMatchObject({ code: 'key', message: expect.stringContaining('without .pub') })
  })

  test('a folder', async () => {
    const path = join(await temporaryFolder(), 'id')
    await mkdir(path)
    await expect(loadSigner(path)).rejects.toMatchObject({ code: 'unreadable' })
  })

  test.skipIf(process.platform === 'win32')('a named pipe, which nobody writes to', async () => {
    const path = join(await temporaryFolder(), 'id')
    execFileSync('mkfifo', ['-m', '600', path])
    await expect(loadSigner(path)).rejects.toMatchObject({ code: 'unreadable', message: expect.stringContaining('regular file') })
  })
})

describe('an encrypted key', () => {
  const generate = async (): Promise<string> => {
    const path = join(await temporaryFolder(), 'id')
    await generateKeyFile(path, 'ann@laptop', 'pässword')
    return path
  }

  test('is opened with its passphrase, asked until it is right', async () => {
    const path = await generate()
    const asked: [string, number][] = []
    const { signer, comment } = await loadSigner(path, async (file, attempt) => {
      asked.push([file, attempt])
      return ['', 'password', 'pässword'][attempt]
    })
    expect(asked).toEqual([0, 1, 2].map((attempt) => [path, attempt]))
    expect(comment).toBe('ann@laptop')
    expect(parseKeyLine(await readFile(`${path}.pub`, 'utf8')).author).toBe(signer.author)
  })

  test('with nobody to ask, or who gives up', async () => {
    const path = await generate()
    await expect(loadSigner(path)).rejects.toMatchObject({ code: 'encrypted', file: path, message: expect.stringContaining(path) })
    await expect(loadSigner(path, async () => undefined)).rejects.toMatchObject({ code: 'encrypted' })
    const wrong = loadSigner(path, async (_, attempt) => (attempt < 2 ? 'wrong' : undefined))
    await expect(wrong).rejects.toMatchObject({ code: 'passphrase', message: `wrong passphrase for ${path}` })
  })

  test('is private to its owner as any other', async () => {
    const path = await generate()
    await chmod(path, 0o644)
    await expect(loadSigner(path, async () => 'pässword')).rejects.toMatchObject({ code: 'permissions' })
  })
})

sayWithoutOpenssh('key files against OpenSSH are')

/** Ciphers that this ssh-keygen encrypts key files with. */
const ciphers = hasOpenssh ? execFileSync('ssh', ['-Q', 'cipher'], { encoding: 'utf8' }).trim().split('\n') : []
const unread = ciphers.filter((cipher) => /^chacha|^3des/.test(cipher))

describe.runIf(hasOpenssh)('together with ssh-keygen', () => {
  test.each(ciphers.filter((cipher) => !unread.includes(cipher)))(
    'we read its key encrypted with %s, and no wrong passphrase opens it',
    async (cipher) => {
      const path = join(await temporaryFolder(), 'id')
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'it is ö', '-Z', cipher, '-C', 'mine', '-f', path])
      const { signer, comment } = await loadSigner(path, async () => 'it is ö')
      expect(parseKeyLine(await readFile(`${path}.pub`, 'utf8'))).toMatchObject({ author: signer.author, comment })
      const wrong = loadSigner(path, async (_, attempt) => (attempt === 0 ? 'it is o' : undefined))
      await expect(wrong).rejects.toMatchObject({ code: 'passphrase' })
    }
  )

  test.each(unread)('a key encrypted with %s is refused by name, with the way out', async (cipher) => {
    const path = join(await temporaryFolder(), 'id')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-Z', cipher, '-f', path])
    const load = () => loadSigner(path, async () => 'secret')
    await expect(load()).rejects.toMatchObject({ code: 'key', message: expect.stringContaining(`"${cipher}"`) })
    await expect(load()).rejects.toThrow('ssh-keygen -p -Z aes256-ctr')
    await run('ssh-keygen', ['-p', '-P', 'secret', '-N', 'secret', '-Z', 'aes256-ctr', '-f', path])
    await expect(load()).resolves.toBeDefined()
  })

  test('a key that would take a minute to open is refused at once', async () => {
    const path = join(await temporaryFolder(), 'id')
    await generateKeyFile(path, '', 'secret')
    const lines = (await readFile(path, 'utf8')).split('\n')
    const bytes = Buffer.from(lines.slice(1, -2).join(''), 'base64')
    const rounds = bytes.indexOf('bcrypt') + 'bcrypt'.length + 4 + 4 + 16
    expect(bytes.readUInt32BE(rounds)).toBe(24)
    bytes.writeUInt32BE(0x7fff_ffff, rounds)
    await writeFile(path, [lines[0], bytes.toString('base64'), ...lines.slice(-2)].join('\n'))
    const load = loadSigner(path, async () => 'secret')
    await expect(load).rejects.toMatchObject({ code: 'key', message: expect.stringContaining('2147483647 rounds of bcrypt') })
  })

  test('it opens, changes and unlocks our encrypted key', async () => {
    const path = join(await temporaryFolder(), 'id')
    const { line, author } = await generateKeyFile(path, 'ann@laptop', 'old one')
    expect((await run('ssh-keygen', ['-y', '-P', 'old one', '-f', path])).stdout.trim()).toBe(line)
    await expect(run('ssh-keygen', ['-y', '-P', 'wrong', '-f', path])).rejects.toThrow('incorrect passphrase')
    await run('ssh-keygen', ['-p', '-P', 'old one', '-N', 'new one', '-a', '2', '-f', path])
    expect((await loadSigner(path, async () => 'new one')).signer.author).toBe(author)
    await run('ssh-keygen', ['-p', '-P', 'new one', '-N', '', '-f', path])
    expect((await loadSigner(path)).signer.author).toBe(author)
  })

  test('it reads our key, and verifies what the key signed', async () => {
    const dir = await temporaryFolder()
    const path = join(dir, 'id')
    const { line, author } = await generateKeyFile(path, 'ann@laptop')
    expect((await run('ssh-keygen', ['-y', '-f', path])).stdout.trim()).toBe(line)
    expect((await run('ssh-keygen', ['-l', '-f', `${path}.pub`])).stdout).toContain(author)
    const { signer } = await loadSigner(path)
    const message = new TextEncoder().encode('pin it')
    await writeFile(join(dir, 'sig'), toSshsig(signer.blob, 'pinsub', await signer.sign('pinsub', message)))
    await writeFile(join(dir, 'allowed'), `ann ${line}\n`)
    const child = run('ssh-keygen', ['-Y', 'verify', '-f', join(dir, 'allowed'), '-I', 'ann', '-n', 'pinsub', '-s', join(dir, 'sig')])
    child.child.stdin?.end(message)
    expect((await child).stdout).toContain('Good "pinsub" signature')
  })

  test('we read its key', async () => {
    const path = join(await temporaryFolder(), 'id')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'it is mine', '-f', path])
    const { signer, comment } = await loadSigner(path)
    expect(parseKeyLine(await readFile(`${path}.pub`, 'utf8'))).toMatchObject({ author: signer.author, comment: 'it is mine' })
    expect(comment).toBe('it is mine')
  })

  test.each([
    ['an RSA key', ['-t', 'rsa', '-b', '2048', '-N', ''], 'ssh-rsa'],
    ['an RSA key in PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', ''], 'RSA PRIVATE KEY'],
    ['an encrypted RSA key', ['-t', 'rsa', '-b', '2048', '-N', 'secret'], 'ssh-rsa'],
    ['an ECDSA key', ['-t', 'ecdsa', '-N', ''], 'ecdsa-sha2-nistp256']
  ])('%s is refused by name', async (_, args, message) => {
    const path = join(await temporaryFolder(), 'id')
    await run('ssh-keygen', ['-q', ...args, '-f', path])
    await expect(loadSigner(path)).rejects.toMatchObject({ name: 'IdentityError', code: 'key', message: expect.stringContaining(message) })
    await expect(loadSigner(path)).rejects.toThrow(path)
  })
})

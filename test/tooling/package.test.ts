/** The package as a user gets it: packed, installed offline in an empty folder, and run. */
import { execFile, type ExecFileException } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const MAX_UNPACKED_BYTES = 8 * 1024 * 1024

interface Packed {
  readonly filename: string
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string }[]
}
interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; a failure is a result like any other. */
function run(file: string, args: readonly string[], cwd: string): Promise<Result> {
  return new Promise((done) => {
    execFile(file, args, { cwd }, (error: ExecFileException | null, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

/** A Node older than 24 on PATH outside of node_modules, if this machine has one. */
async function findOldNode(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '' || folder.includes('node_modules')) continue
    const { code, stdout } = await run(join(folder, 'node'), ['--version'], ROOT)
    if (code === 0 && Number(/^v(\d+)/.exec(stdout)?.[1]) < 24) return join(folder, 'node')
  }
  return undefined
}

const oldNode = await findOldNode()
const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>

let folder: string
let packed: Packed
let bin: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinsub-package-'))
  const pack = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT)
  expect(pack.code, pack.stderr).toBe(0)
  packed = (JSON.parse(pack.stdout) as [Packed])[0]
  const user = join(folder, 'user')
  await mkdir(user)
  await writeFile(join(user, 'package.json'), '{ "private": true, "type": "module" }\n')
  const install = await run('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, packed.filename)], user)
  expect(install.code, install.stderr).toBe(0)
  folder = user
  bin = join(user, 'node_modules/.bin/pinsub')
}, 60_000)

afterAll(async () => {
  await rm(resolve(folder, '..'), { recursive: true })
})

describe('the package', () => {
  test('needs no other package, no compiler and no download', () => {
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies'])
      expect(manifest).not.toHaveProperty(kind)
    const scripts = Object.keys(manifest['scripts'] as object)
    expect(scripts.filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([])
    expect(packed.files.map((file) => file.path).filter((path) => path.endsWith('.node'))).toEqual([])
  })

  test(`unpacks to at most ${MAX_UNPACKED_BYTES} bytes`, () => {
    expect(packed.unpackedSize).toBeLessThanOrEqual(MAX_UNPACKED_BYTES)
  })

  test('holds the bundle, the types, and the licences of itself and of what is inside; no sources, tests or keys', () => {
    const paths = packed.files.map((file) => file.path)
    const wanted = [
      'bin/pinsub.cjs',
      'dist/pinsub.js',
      'dist/index.js',
      'dist/types/index.d.ts',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/sbom.cdx.json',
      'LICENSE-MIT',
      'LICENSE-APACHE'
    ]
    expect(paths).toEqual(expect.arrayContaining(wanted))
    expect(paths.filter((path) => !/^(bin|dist)\/|^[^/]+\.(json|md)$|^LICENSE-/.test(path))).toEqual([])
  })
})

describe('the installed command', () => {
  test('says its version', async () => {
    expect(await run(bin, ['--version'], folder)).toEqual({ code: 0, stdout: `${manifest['version'] as string}\n`, stderr: '' })
  })

  test('helps, without a warning', async () => {
    const { code, stdout, stderr } = await run(bin, ['--help'], folder)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const command of ['init', 'node', 'add', 'send', 'status', 'ls', 'nodes', 'keys', 'demo']) expect(stdout).toContain(command)
  })

  test('its first file is plain old JavaScript', async () => {
    const source = await readFile(join(ROOT, 'bin/pinsub.cjs'), 'utf8')
    await expect(transform(source, { target: 'es5' })).resolves.toBeDefined()
    expect(source.replaceAll(/\/\*.*?\*\//gs, '')).not.toMatch(/\bimport\b/)
  })

  test.skipIf(oldNode === undefined)('says what to do on an old Node', async () => {
    const { code, stdout, stderr } = await run(oldNode ?? '', [bin, 'send', 'pin', 'CID'], folder)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^pinsub needs Node\.js 24 or newer; this is v\d+/)
    expect(stderr).toContain('npx -y -p node@24 -p pinsub pinsub send pin CID')
  })
})

describe('the public API', () => {
  test('loads', async () => {
    const { code, stdout, stderr } = await run(
      process.execPath,
      ['-p', "import('pinsub').then(api => console.log(typeof api.createSender)), ''"],
      folder
    )
    expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: 'function', stderr: '' })
  })

  test('has types that stand on their own', async () => {
    await writeFile(
      join(folder, 'use.ts'),
      "import { createSender } from 'pinsub'\nexport const make: (...args: never[]) => unknown = createSender\n"
    )
    const compilerOptions = {
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      typeRoots: [join(ROOT, 'node_modules/@types')],
      types: ['node']
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
    const { code, stdout } = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], folder)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
  })
})

/** What the release is made of: only what the lock file pins, under licences that allow it, listed for those who look for holes. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bundledPackages, isAllowedLicense } from '../../scripts/bundled.ts'
import { thirdPartyLicenses } from '../../scripts/licenses.ts'
import { billOfMaterials } from '../../scripts/sbom.ts'

const ROOT = resolve(import.meta.dirname, '../..')

interface Locked {
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly version?: string
}

/** A checkout with one package in it. */
async function checkoutWith(manifest: object, locked: Locked = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'pinsub-supply-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await mkdir(join(root, 'node_modules/@x/y'), { recursive: true })
  await writeFile(join(root, 'node_modules/@x/y/package.json'), JSON.stringify({ name: '@x/y', version: '1.2.3', ...manifest }))
  await writeFile(join(root, 'package.json'), JSON.stringify({ name: 'product', version: '0.0.1', license: 'MIT' }))
  await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages: { 'node_modules/@x/y': locked } }))
  return root
}

const INPUTS = ['src/a.ts', 'node_modules/@x/y/dist/index.js', 'node_modules/@x/y/dist/other.js']

describe('the lock file', async () => {
  const { packages } = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
  const { allowScripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { allowScripts: Record<string, boolean> }

  test('pins every package to a hash', () => {
    const loose = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && integrity?.startsWith('sha512-') !== true)
    expect(loose.map(([path]) => path)).toEqual([])
    expect(Object.keys(packages).length).toBeGreaterThan(100)
  })

  test('lets no package run a script at its installation but those that were looked at', () => {
    const names = Object.entries(packages).flatMap(([path, { hasInstallScript }]) =>
      hasInstallScript === true ? [path.replace(/^.*node_modules\//, '')] : []
    )
    expect(names.filter((name) => allowScripts[name] === undefined && name !== 'fsevents')).toEqual([])
  })
})

describe('licences', () => {
  test.each(['MIT', 'Apache-2.0 OR MIT', '(MIT OR GPL-3.0)', 'MIT AND ISC'])('%s is allowed', (license) => {
    expect(isAllowedLicense(license)).toBe(true)
  })

  test.each(['GPL-3.0', 'MIT AND GPL-3.0', 'UNLICENSED', 'SEE LICENSE IN x', 'AGPL-3.0-only OR BUSL-1.1', ''])('%s is not', (license) => {
    expect(isAllowedLicense(license)).toBe(false)
  })

  test.each([
    [{ license: 'GPL-3.0' }, /@x\/y is under GPL-3\.0, which is not among the licences allowed/],
    [{}, /@x\/y states no licence/]
  ])('the build fails for a package with %j', async (manifest, message) => {
    const root = await checkoutWith(manifest)
    await expect(thirdPartyLicenses(root, await bundledPackages(root, INPUTS))).rejects.toThrow(message)
  })

  test('their texts come along', async () => {
    const root = await checkoutWith({ license: 'MIT' })
    await writeFile(join(root, 'node_modules/@x/y/LICENSE'), 'Permission is granted')
    const text = await thirdPartyLicenses(root, await bundledPackages(root, INPUTS))
    expect(text).toContain('@x/y 1.2.3 (MIT)')
    expect(text).toContain('Permission is granted')
  })
})

describe('the bill of materials', () => {
  const integrity = `sha512-${Buffer.alloc(64, 7).toString('base64')}`

  test('names each package once, with its licence and its hash', async () => {
    const root = await checkoutWith({ license: 'MIT' }, { integrity })
    const bom = JSON.parse(await billOfMaterials(root, await bundledPackages(root, INPUTS))) as object
    expect(bom).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      metadata: { component: { name: 'product', version: '0.0.1' } },
      components: [
        {
          type: 'library',
          name: '@x/y',
          version: '1.2.3',
          purl: 'pkg:npm/%40x/y@1.2.3',
          licenses: [{ expression: 'MIT' }],
          hashes: [{ alg: 'SHA-512', content: '07'.repeat(64) }]
        }
      ]
    })
  })

  test('cannot be made of what the lock file does not know', async () => {
    const root = await checkoutWith({ license: 'MIT' })
    await expect(billOfMaterials(root, await bundledPackages(root, INPUTS))).rejects.toThrow(
      /node_modules\/@x\/y is not in package-lock\.json/
    )
  })
})

/** What is inside the bundle, for programs that look for packages with known holes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BundledPackage } from './bundled.ts'

interface Locked {
  readonly integrity?: string
}

/**
 * The bill of materials as CycloneDX 1.6: the packages of which code is in the bundle, with licence and the hash that the lock file holds. The same for the same lock file, so it has neither time nor serial number. @see https://cyclonedx.org/docs/1.6/json/
 * Throws for a package that the lock file does not know: it came from elsewhere.
 */
export async function billOfMaterials(root: string, packages: readonly BundledPackage[]): Promise<string> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as { packages: Readonly<Record<string, Locked>> }
  const { name, version, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as BundledPackage
  const components = packages.map((each) => {
    const digest = /^sha512-(.+)$/.exec(lock.packages[each.folder]?.integrity ?? '')?.[1]
    if (digest === undefined) throw new Error(`${each.folder} is not in package-lock.json with a SHA-512: run npm ci`)
    return {
      type: 'library',
      'bom-ref': each.folder,
      ...named(each),
      hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }]
    }
  })
  const product = { type: 'application', 'bom-ref': name, ...named({ name, version, license }) }
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: product },
    components,
    dependencies: [{ ref: name, dependsOn: components.map((each) => each['bom-ref']) }]
  }
  return `${JSON.stringify(bom, undefined, 2)}\n`
}

function named({ name, version, license }: Pick<BundledPackage, 'name' | 'version' | 'license'>) {
  return {
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    licenses: [{ expression: license }]
  }
}

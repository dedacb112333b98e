/** The packages that a bundle holds. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A package of which at least one file is in the bundle. */
export interface BundledPackage {
  /** Relative to the root of the checkout. */
  readonly folder: string
  readonly name: string
  readonly version: string
  /** As its package.json states it, an SPDX expression; undefined where it states none. */
  readonly license: string | undefined
}

/** Licences under which code may be in the bundle; for other ones somebody must think first. */
const ALLOWED = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'CC0-1.0', 'Unlicense'])

/** The package folder of a file under node_modules (the innermost one), or undefined for the project's own files. */
function packageFolder(input: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]
}

/** The packages that hold one of `inputs` (paths relative to `root`), by folder. */
export async function bundledPackages(root: string, inputs: readonly string[]): Promise<BundledPackage[]> {
  const folders = [...new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined))].sort()
  return Promise.all(
    folders.map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as BundledPackage
      return { folder, name, version, license }
    })
  )
}

/** Whether code under this SPDX expression may be in the bundle: of a choice one must be allowed, of a sum all. */
export function isAllowedLicense(expression: string): boolean {
  const bare = expression.trim().replace(/^\((.*)\)$/, '$1')
  return bare.split(' OR ').some((choice) => choice.split(' AND ').every((license) => ALLOWED.has(license.trim())))
}

/** The licence texts of the packages that a bundle holds. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAllowedLicense, type BundledPackage } from './bundled.ts'

const RULE = '-'.repeat(80)

/** Licence files of a package. Of a choice, MIT is taken; Apache's notices always come along. */
async function licenseTexts(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).sort()
  const mit = names.filter((name) => /mit/i.test(name) || /^notice/i.test(name))
  const texts = await Promise.all((mit.length > 0 ? mit : names).map((name) => readFile(join(folder, name), 'utf8')))
  return texts.map((text) => text.trim()).join('\n\n')
}

/**
 * One text for all packages (their folders relative to `root`), those with the same text together.
 * Throws for a package that states no licence, or one that is not allowed: the build fails until somebody has looked at it.
 */
export async function thirdPartyLicenses(root: string, packages: readonly BundledPackage[]): Promise<string> {
  const packagesByText = new Map<string, string[]>()
  for (const { folder, name, version, license } of packages) {
    if (license === undefined) throw new Error(`${name} states no licence in its package.json: it may not be in the bundle`)
    if (!isAllowedLicense(license))
      throw new Error(`${name} is under ${license}, which is not among the licences allowed in scripts/bundled.ts`)
    const text = await licenseTexts(join(root, folder))
    const stated = text === '' ? `Stated in its package.json: ${license}` : text
    packagesByText.set(stated, [...(packagesByText.get(stated) ?? []), `${name} ${version} (${license})`])
  }
  const sections = [...packagesByText].map(([text, names]) => `${RULE}\n${names.join('\n')}\n${RULE}\n\n${text}\n`)
  return `The files in this folder hold code of the following packages. The Apache License 2.0 is in full in LICENSE-APACHE.\n\n${sections.join('\n')}`
}

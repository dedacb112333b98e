/** The licence texts of the packages that a bundle holds. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const RULE = '-'.repeat(80)

/** The package folder of a file under node_modules (the innermost one), or undefined for the project's own files. */
function packageFolder(input: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]
}

/** Licence files of a package. Of a choice, MIT is taken; Apache's notices always come along. */
async function licenseTexts(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).sort()
  const mit = names.filter((name) => /mit/i.test(name) || /^notice/i.test(name))
  const texts = await Promise.all((mit.length > 0 ? mit : names).map((name) => readFile(join(folder, name), 'utf8')))
  return texts.map((text) => text.trim()).join('\n\n')
}

/**
 * One text for all packages that hold one of `inputs` (paths relative to `root`), packages with the same text together.
 * Throws for a package that states no licence at all.
 */
export async function thirdPartyLicenses(root: string, inputs: readonly string[]): Promise<string> {
  const folders = [...new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined))].sort()
  const packagesByText = new Map<string, string[]>()
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as {
      name: string
      version: string
      license?: string
    }
    const text = await licenseTexts(join(root, folder))
    if (manifest.license === undefined && text === '') throw new Error(`${manifest.name} states no licence`)
    const stated = text === '' ? `Stated in its package.json: ${manifest.license}` : text
    packagesByText.set(stated, [
      ...(packagesByText.get(stated) ?? []),
      `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})`
    ])
  }
  const sections = [...packagesByText].map(([text, packages]) => `${RULE}\n${packages.join('\n')}\n${RULE}\n\n${text}\n`)
  return `The files in this folder hold code of the following packages. The Apache License 2.0 is in full in LICENSE-APACHE.\n\n${sections.join('\n')}`
}

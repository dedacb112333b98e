/**
 * Writes dist/: the command line (pinsub.js), the public API (index.js), their shared chunks, the API's types, and the
 * licences and the bill of materials of what is bundled. `--no-types` leaves the types out: enough to run the command line.
 */
import { build as bundle } from 'esbuild'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bundledPackages } from './bundled.ts'
import { thirdPartyLicenses } from './licenses.ts'
import { billOfMaterials } from './sbom.ts'

const ROOT = resolve(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')

/** Builds dist/, and removes from it whatever this build did not write. Throws where anything does not compile. */
export async function build(options: { readonly types: boolean }): Promise<void> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  const { metafile } = await bundle({
    absWorkingDir: ROOT,
    entryPoints: { pinsub: 'src/cli/main.ts', index: 'src/index.ts' },
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Names stay as they are: stack traces and error classes must be readable.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    define: { PINSUB_VERSION: JSON.stringify(version) },
    // CommonJS dependencies require() Node's own modules.
    banner: {
      js: "import { createRequire as createBundleRequire } from 'node:module';const require = createBundleRequire(import.meta.url);"
    }
  })
  const packages = await bundledPackages(ROOT, Object.keys(metafile.inputs))
  await writeFile(join(DIST, 'THIRD-PARTY-LICENSES.txt'), await thirdPartyLicenses(ROOT, packages))
  await writeFile(join(DIST, 'sbom.cdx.json'), await billOfMaterials(ROOT, packages))
  const beside = ['dist/THIRD-PARTY-LICENSES.txt', 'dist/sbom.cdx.json']
  const written = new Set([...Object.keys(metafile.outputs), ...beside].map((path) => resolve(ROOT, path)))
  for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    // After the new files are in place, so that what runs from the old ones is disturbed as late as possible.
    if (entry.isFile() && !written.has(path)) await rm(path)
  }
  if (options.types) await buildTypes()
}

async function buildTypes(): Promise<void> {
  await mkdir(join(DIST, 'types'), { recursive: true })
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'], {
    cwd: ROOT,
    stdio: 'inherit'
  })
}

if (import.meta.main) await build({ types: !process.argv.includes('--no-types') })

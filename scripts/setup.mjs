/**
 * Makes node_modules what package-lock.json says, and does nothing where it already is. It runs on whatever Node the machine has
 * (20 or newer); what follows it in an npm script finds Node 24 on PATH, because it is a development dependency.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const WANTED = 24
const root = fileURLToPath(new URL('..', import.meta.url))
const installedNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

/** The packages a lock file names, or none where it cannot be read. */
function packages(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8')).packages
  } catch {
    return {}
  }
}

/** Whether all that the lock file wants is installed (packages for other platforms may be missing). */
function isInstalled() {
  const installed = packages('node_modules/.package-lock.json')
  return Object.entries(packages('package-lock.json')).every(([path, wanted]) => {
    const found = installed[path]
    return path === '' || (found === undefined ? wanted.optional === true : found.integrity === wanted.integrity)
  })
}

/** Major version of the Node at `path`; 0 where it does not run. */
function majorOf(path) {
  return Number(/^v(\d+)\./.exec(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 0)
}

/** Says why it cannot go on, and ends. */
function fail(message) {
  console.error(message)
  process.exit(1)
}

if (!isInstalled() || majorOf(installedNode) < WANTED) {
  console.error('Installing the development dependencies with npm ci (once, about half a minute)')
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const isNpm = npm !== undefined && basename(npm) === 'npm-cli.js'
  const run = isNpm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: true })
  if (run.status !== 0) fail('npm ci failed: see above.')
  if (majorOf(installedNode) < WANTED) fail(`The packaged Node ${WANTED} does not run on this platform: were install scripts switched off?`)
}

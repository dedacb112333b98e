import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { TREES } from '../../test/content/trees.ts'
import { importPath } from '../../src/content/import.ts'
const repo = mkdtempSync('/tmp/ct/ipfs-'); const env = { ...process.env, IPFS_PATH: repo }
execFileSync('/tmp/kubo-bin/ipfs', ['init', '--profile=test'], { env })
for (const tree of TREES) {
  const dir = mkdtempSync('/tmp/ct/tree-'); await tree.make(dir)
  const at = join(dir, tree.at ?? '')
  const want = execFileSync('/tmp/kubo-bin/ipfs', ['add', '-r', '--only-hash', '--cid-version=1', '-Q', ...(tree.hidden ? ['-H'] : []), at], { env, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim()
  const t = performance.now()
  const r = await importPath(at, { hidden: tree.hidden ?? false, signal: new AbortController().signal }, { put: (cid) => cid })
  console.log(String(r.cid) === want ? 'same' : 'DIFF', tree.name, want, String(r.cid) === want ? '' : String(r.cid), r.files, r.bytes, r.blocks, Math.round(performance.now() - t))
  rmSync(dir, { recursive: true })
}
rmSync(repo, { recursive: true })

// provider process: serves N one-block cids + a 100MiB file; prints origin
import { mkdtempSync, writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeHost } from '../../test/support/libp2p.ts'
import { createTemporaryContent } from '../../src/content/temporary.ts'
import { createFileBlockstore } from '../../src/content/blockstore.ts'
import { createExchange } from '../../src/content/exchange.ts'
import { leaf } from '../../test/support/dags.ts'
import { importPath } from '../../src/content/import.ts'
import { randomBytes } from 'node:crypto'
const N = +process.argv[2], MB = +process.argv[3]
const dir = mkdtempSync('/tmp/ct/prov-')
const libp2p = await makeHost()
const store = createFileBlockstore({ dir, durable: false }); await store.start()
const ex = createExchange({ libp2p, blocks: store }); await ex.start()
const cids = []
for (let i = 0; i < N; i++) { const b = await leaf(`small ${i} ${'x'.repeat(900)}`); await store.put(b.cid, b.bytes); cids.push(String(b.cid)) }
let big
if (MB) { const f = join(dir, 'big'); writeFileSync(f, randomBytes(MB * 2 ** 20)); const t = performance.now(); big = String((await importPath(f, { hidden: false, signal: new AbortController().signal }, store)).cid); console.error('import ms', Math.round(performance.now() - t)) }
process.send({ origin: String(libp2p.getMultiaddrs()[0]), cids, big })
process.on('message', async () => { const c = process.cpuUsage(); console.log('provider cpu s', (c.user + c.system) / 1e6, 'rss', Math.round(process.memoryUsage().rss / 1e6)); await ex.stop(); await libp2p.stop(); rmSync(dir, { recursive: true }); process.exit() })

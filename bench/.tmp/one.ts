import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { randomBytes } from 'node:crypto'
import { makeHost } from '/work/main/test/support/libp2p.ts'
import { createHeliaBackend } from '/work/main/src/node/backend/helia.ts'
import { createFileBlockstore } from '/work/main/src/content/blockstore.ts'
import { createExchange } from '/work/main/src/content/exchange.ts'
const clock = { now: () => Date.now(), after: (ms, fn) => { const t = setTimeout(fn, ms); return () => clearTimeout(t) } }
const base = mkdtempSync('/tmp/ct/run-')
const ph = await makeHost()
const store = createFileBlockstore({ dir: join(base, 'p'), durable: false }); await store.start()
const ex = createExchange({ libp2p: ph, blocks: store }); await ex.start()
const h = await makeHost()
const b = createHeliaBackend({ dir: base }, { libp2p: h, clock }); await b.start()
await h.dial(ph.getMultiaddrs())
const N = 2000, cids = []
for (let i = 0; i < N; i++) { const d = randomBytes(200); const cid = CID.createV1(raw.code, await sha256.digest(d)); await store.put(cid, d); cids.push(cid) }
const signal = new AbortController().signal
let t = performance.now()
await b.pin(cids[0], { signal, origins: [] }); console.log('first', performance.now() - t)
for (let k = 1; k < 6; k++) { t = performance.now(); await b.pin(cids[k], { signal, origins: [] }); console.log('single', performance.now() - t) }
t = performance.now(); let i = 6; const cpu = process.cpuUsage()
await Promise.all(Array.from({ length: +process.argv[2] || 32 }, async () => { while (i < N) await b.pin(cids[i++], { signal, origins: [] }) }))
const c = process.cpuUsage(cpu)
console.log('rate', Math.round(N / (performance.now() - t) * 1000), 'cpu ms', (c.user + c.system) / 1000)
console.log(await b.health(), process.memoryUsage().rss / 1e6)
t = performance.now(); await Promise.all(cids.map((cid) => b.unpin(cid, { signal }))); console.log('unpin', performance.now() - t)
console.log(await b.health())
await b.stop(); await ex.stop(); await h.stop(); await ph.stop(); rmSync(base, { recursive: true })

import { mkdtempSync, rmSync } from 'node:fs'
import { CID } from 'multiformats/cid'
import { multiaddr } from '@multiformats/multiaddr'
import { makeHost } from '../../test/support/libp2p.ts'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
const clock = { now: () => Date.now(), after: (ms, fn) => { const t = setTimeout(fn, ms); return () => clearTimeout(t) } }
const dir = mkdtempSync('/tmp/ct/node-')
const libp2p = await makeHost()
// COUNT
let inS = 0, inB = 0, outS = 0; const h0 = libp2p.handle.bind(libp2p); libp2p.handle = (p, h, o) => h0(p, (st, c) => { inS++; st.addEventListener('message', (e) => { inB += e.data.byteLength }); return h(st, c) }, o); 
const b = createHeliaBackend({ dir }, { libp2p, clock }); await b.start()
const signal = new AbortController().signal
const idle = Math.round(process.memoryUsage().rss / 1e6)
process.send({ ready: String(libp2p.getMultiaddrs()[0]) })
process.on('message', async (m) => {
  if (m.dial) { for (const o of m.dial) await libp2p.dial(multiaddr(o)); process.send({ dialled: true }); return }
  if (m.end) { await b.stop(); await libp2p.stop(); rmSync(dir, { recursive: true }); process.exit() }
  const cids = m.cids.map((c) => CID.parse(c)); let i = 0
  const c0 = process.cpuUsage(); const t = performance.now()
  await Promise.all(Array.from({ length: m.conc }, async () => { while (i < cids.length) await b.pin(cids[i++], { signal, origins: [] }) }))
  const ms = performance.now() - t, c = process.cpuUsage(c0)
  process.send({ done: { what: m.what, rate: Math.round(cids.length / ms * 1000), ms: Math.round(ms), cpuS: (c.user / 1e6).toFixed(2) + "+" + (c.system / 1e6).toFixed(2), inS, inKB: Math.round(inB / 1024), outS, rss: Math.round(process.memoryUsage().rss / 1e6) } })
})

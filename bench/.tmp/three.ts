import { fork } from 'node:child_process'
import { once } from 'node:events'
const [N, MB, K, conc] = process.argv.slice(2).map(Number)
const p = fork(import.meta.dirname + '/provider.ts', [N, MB].map(String), { execArgv: process.env.PROF ? ['--cpu-prof', '--cpu-prof-dir=/tmp/ct/profp'] : [] }); const [{ origin, cids, big }] = await once(p, 'message')
const nodes = Array.from({ length: K }, () => fork(import.meta.dirname + '/node.ts', [], { execArgv: process.env.PROF ? ['--cpu-prof', '--cpu-prof-dir=/tmp/ct/prof3'] : [] }))
const addrs = await Promise.all(nodes.map(async (n) => (await once(n, 'message'))[0].ready))
for (const [i, n] of nodes.entries()) { n.send({ dial: [origin, ...addrs.slice(0, i)] }); await once(n, 'message') }
async function round(what, list, conc) { console.log((await Promise.all(nodes.map(async (n) => { n.send({ what, cids: list, conc }); return JSON.stringify((await once(n, 'message'))[0].done) }))).join('\n')) }
if (N) await round('small', cids, conc)
if (big) await round('big', [big], 1)
for (const n of nodes) { n.send({ end: 1 }); await once(n, 'exit') }
p.send('x')

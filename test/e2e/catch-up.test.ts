import { expect, test } from 'vitest'
test('smoke', async () => {
  const { createNetwork, startAgent, agentArgs } = await import('./network.ts')
  const { createOperator } = await import('../support/operator.ts')
  const { loadSigner } = await import('../../src/identity/key-file.ts')
  const { leaf } = await import('../support/dags.ts')
  await using net = await createNetwork(2)
  await using op = await createOperator({ network: net.name })
  const { signer } = await loadSigner(net.home + '/id_ed25519')
  const [a, b] = net.agents as any
  await op.link(a.address)
  await b.process.end()
  const block = await leaf('x')
  op.provide([block])
  const said = await op.say(signer, [{ op: 'pin', cid: block.cid }])
  await op.accepted([said], [a.peer], 5000)
  const t0 = Date.now()
  const b2 = await startAgent(
    net.sandbox,
    b.home,
    agentArgs(b.home, '--network', net.name, '--authorize', net.line, '--bootstrap', a.address)
  )
  const t1 = Date.now()
  const sa = await op.sets(a.address)
  await expect
    .poll(async () => (await op.sets(b2.address)).map((x) => Buffer.from(x.root).toString('hex')), { timeout: 20000, interval: 50 })
    .toEqual(sa.map((x) => Buffer.from(x.root).toString('hex')))
  console.log('ready', t1 - t0, 'equal', Date.now() - t1, sa)
})

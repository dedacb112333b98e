/**
 * An operator in a process of its own, to be run inside a network namespace: `node operator-process.ts NETWORK LISTEN KEY…`, each KEY a
 * private key file. Reads one order a line, writes one answer a line, in this order: `{"ready":true,"origin"}` first.
 */
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { loadSigner } from '../../src/identity/key-file.ts'
import { leaf } from './dags.ts'
import { createOperator, type Said } from './operator.ts'
import type { OperatorOrder } from './remote-operator.ts'

const [network, listen, ...keyFiles] = process.argv.slice(2) as [string, string, ...string[]]
const signers = await Promise.all(keyFiles.map(async (file) => (await loadSigner(file)).signer))
const operator = await createOperator({ network, listen })
const said: Said[] = []
const tell = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`)

async function obey(order: OperatorOrder): Promise<object> {
  switch (order.do) {
    case 'link':
      return { node: await operator.link(order.address) }
    case 'provide':
      operator.provide(await Promise.all(order.texts.map(leaf)))
      return {}
    case 'say': {
      const origins = order.origins.map((origin) => multiaddr(origin).bytes)
      const operations = order.operations.map((operation) => {
        switch (operation.op) {
          case 'pin':
            return { op: 'pin', cid: CID.parse(operation.cid), origins } as const
          case 'unpin':
            return { op: 'unpin', cid: CID.parse(operation.cid) } as const
          case 'update':
            return { op: 'update', from: CID.parse(operation.from), to: CID.parse(operation.to) } as const
        }
      })
      const one = await operator.say(signers[order.key] as (typeof signers)[number], operations)
      said.push(one)
      return { envelope: Buffer.from(one.envelope).toString('base64') }
    }
    case 'accepted':
      await operator.accepted(said.splice(0), order.nodes, order.ms)
      return {}
    case 'sets':
      return {
        sets: (await operator.sets(order.target)).map(
          (set) => `${set.author} ${set.pinset} ${set.count} ${Buffer.from(set.root).toString('hex')}`
        )
      }
  }
}

tell({ ready: true, origin: operator.origin })
for await (const line of createInterface({ input: process.stdin })) {
  tell(await obey(JSON.parse(line) as OperatorOrder).catch((err: unknown) => ({ error: err instanceof Error ? err.message : String(err) })))
}
await operator[Symbol.asyncDispose]()

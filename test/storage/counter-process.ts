/** Takes numbers and stores commands until it is killed; every line it writes was durable before. Run by node-store.test.ts. */
import { writeSync } from 'node:fs'
import { openNodeStore } from '../../src/storage/node-store.ts'

const store = openNodeStore(process.argv[2] as string)
const mark = process.argv[3] as string
for (let i = 0; ; i++) {
  const value = store.next('ack')
  const id = `${mark}-${i}`
  const command = { id, author: 'SHA256:x', pinset: 'p', time: { ms: i, counter: 0 }, acceptedAt: i, envelope: new Uint8Array(64) } as const
  store.transaction(() => {
    store.addCommand(command)
    store.putJob({ cid: id, action: 'pin', spelled: id, origins: [], nextAt: 0 })
  })
  writeSync(1, `${value} ${id}\n`)
}

/** Measures what the README quotes, on this machine: `npm run bench [-- NAME…]`. Prints a table, and JSON with `--json`. */
import { bulk } from './bulk.ts'
import { catchUp } from './catch-up.ts'
import { cold } from './cold.ts'
import { flood } from './flood.ts'
import { keys } from './keys.ts'
import { kubo } from './kubo.ts'
import { latency } from './latency.ts'
import { machine } from './machine.ts'
import { memory } from './memory.ts'
import { sets } from './sets.ts'
import type { Figure } from './support/figure.ts'

const BENCHES: Readonly<Record<string, () => Promise<Figure[]>>> = {
  machine,
  latency,
  cold,
  bulk,
  kubo,
  memory,
  'catch-up': catchUp,
  sets,
  keys,
  flood
}

const names = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const figures: Figure[] = []
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const bench = BENCHES[name]
  if (bench === undefined) throw new Error(`no bench "${name}": ${Object.keys(BENCHES).join(', ')}`)
  process.stderr.write(`${name} …\n`)
  figures.push(...(await bench()))
}
if (process.argv.includes('--json')) for (const figure of figures) console.log(JSON.stringify(figure))
else
  console.table(
    figures.map(({ name, value, unit, target, best }) => ({
      name,
      value: Number(value.toFixed(value < 10 ? 2 : 0)),
      unit,
      target: target === undefined ? '' : `${best === 'low' ? '≤' : '≥'} ${target}`
    }))
  )
process.exit()

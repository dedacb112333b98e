/**
 * Fuzzes every decoder and parser: see test/fuzz/targets.ts.
 *
 *     npm run fuzz -- [--runs 10000000] [--processes 2] [--target PART-OF-A-NAME] [--seed N]
 *
 * Ends with 1 at the first failure, whose input lies in test/corpus/ then: the suite runs it from now on. The same seed, runs and
 * processes make the same inputs again.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000000' },
    processes: { type: 'string', default: '2' },
    target: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) }
  }
})
const [runs, processes, seed] = (['runs', 'processes', 'seed'] as const).map((name) => {
  const number = Number(values[name])
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} must be a whole number from 1 on`)
  return number
}) as [number, number, number]

interface Report {
  readonly target: string
  readonly runs: number
  readonly ms: number
  readonly outcomes: number
}

const FUZZ = fileURLToPath(new URL('../test/fuzz/fuzz-process.ts', import.meta.url))
const reports = new Map<string, Report[]>()
const children: ChildProcess[] = []
const start = performance.now()
console.log(`${runs} executions in ${processes} processes, seed ${seed}`)

/** Seeds of targets are neighbours, so those of processes are far apart. */
const run = async (number: number): Promise<number | null> => {
  const args = [FUZZ, String(Math.ceil(runs / processes)), String(seed + number * 1_000_003), values.target]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const ended = once(child, 'exit') as Promise<[number | null]>
  for await (const line of createInterface(child.stdout)) {
    const report = JSON.parse(line) as Report
    const all = [...(reports.get(report.target) ?? []), report]
    reports.set(report.target, all)
    if (all.length === processes) say(report.target, all)
  }
  return (await ended)[0]
}

function say(target: string, all: readonly Report[]): void {
  const executions = all.reduce((sum, report) => sum + report.runs, 0)
  const rate = all.reduce((sum, report) => sum + (report.runs / report.ms) * 1_000, 0)
  const outcomes = Math.max(...all.map((report) => report.outcomes))
  console.log(
    `${target.padEnd(20)} ${String(executions).padStart(9)} executions ${String(Math.round(rate)).padStart(7)}/s ${outcomes} outcomes`
  )
}

const codes = await Promise.all(
  Array.from({ length: processes }, async (_, number) => {
    const code = await run(number)
    // One failure is enough.
    if (code !== 0) for (const child of children) child.kill()
    return code
  })
)
const done = [...reports.values()].flat().reduce((sum, report) => sum + report.runs, 0)
const seconds = (performance.now() - start) / 1_000
console.log(`${done} executions in ${Math.round(seconds)} s, ${Math.round(done / seconds)}/s`)
process.exitCode = codes.every((code) => code === 0) ? 0 : 1

/**
 * Machines as the kernel makes them: network namespaces on one bridge, each with an address of its own and no way out. Only root may make
 * them. They can be cut off from the rest, with their links down or with all links up and every packet lost.
 */
import { execFileSync } from 'node:child_process'

/** How machines are cut off: `visible` takes their links down, `silent` loses what they send and are sent. */
export type Cut = 'visible' | 'silent'

/** The machines. */
export interface Namespaces extends Disposable {
  /** Of a machine, counted from 1, an IPv4 address. */
  address(machine: number): string
  /** Command and arguments that run a program on a machine. */
  inside(machine: number, command: string, args: readonly string[]): [command: string, args: string[]]
  /** Cuts the machines that have the cable off from all others. */
  cut(how: Cut): void
  heal(): void
  /** The TCP connections that a machine takes for open, both ends as `ADDRESS:PORT`. */
  connections(machine: number): readonly { readonly own: string; readonly other: string }[]
}

let made = 0

/** Why there can be none here; undefined where there can. */
export function whyNoNamespaces(): string | undefined {
  const name = `pinsub-${process.pid}-try`
  try {
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch (err) {
    return `SKIPPED: no network namespaces (needs Linux, root and iproute2): ${(err as Error).message.trim().split('\n').at(-1)}`
  }
}

/** Makes `count` machines, 10.77.0.1 and up; those in `cabled` are joined by a second network, 10.78.0.N, that is never cut. */
export function makeNamespaces(count: number, cabled: readonly number[]): Namespaces {
  removeLeftOvers()
  const prefix = `pinsub-${process.pid}-${++made}`
  const name = (machine: number | string): string => `${prefix}-${machine}`
  const machines = Array.from({ length: count }, (_, i) => i + 1)
  const address = (machine: number): string => `10.77.0.${machine}`
  const all = ['hub', ...machines].map(name)
  const remove = (): void => {
    process.off('exit', remove)
    for (const one of listed()) if (all.includes(one)) ip('netns', 'del', one)
  }
  process.once('exit', remove)
  try {
    all.forEach((one) => ip('netns', 'add', one))
    for (const bridge of ['net', 'cable']) ip('-n', name('hub'), 'link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0')
    for (const bridge of ['net', 'cable']) ip('-n', name('hub'), 'link', 'set', bridge, 'up')
    for (const machine of machines) {
      ip('-n', name(machine), 'link', 'set', 'lo', 'up')
      join(machine, 'net', address(machine))
      if (cabled.includes(machine)) join(machine, 'cable', address(machine).replace('.77.', '.78.'))
    }
  } catch (err) {
    remove()
    throw err
  }

  /** Puts a machine's interface on a bridge of the same name. */
  function join(machine: number, bridge: string, own: string): void {
    ip('-n', name('hub'), 'link', 'add', `${bridge}${machine}`, 'type', 'veth', 'peer', 'name', bridge, 'netns', name(machine))
    ip('-n', name('hub'), 'link', 'set', `${bridge}${machine}`, 'master', bridge, 'up')
    ip('-n', name(machine), 'address', 'add', `${own}/24`, 'dev', bridge)
    ip('-n', name(machine), 'link', 'set', bridge, 'up')
  }

  return {
    address,
    inside: (machine, command, args) => ['ip', ['netns', 'exec', name(machine), command, ...args]],
    cut(how) {
      for (const machine of cabled) {
        if (how === 'visible') ip('-n', name(machine), 'link', 'set', 'net', 'down')
        else ip('-n', name('hub'), 'link', 'set', `net${machine}`, 'nomaster')
      }
    },
    heal() {
      for (const machine of cabled) {
        ip('-n', name('hub'), 'link', 'set', `net${machine}`, 'master', 'net')
        ip('-n', name(machine), 'link', 'set', 'net', 'up')
      }
    },
    connections: (machine) =>
      ip('netns', 'exec', name(machine), 'ss', '-Htn', 'state', 'established')
        .split('\n')
        .flatMap((line) => {
          const [own, other] = line.trim().split(/\s+/).slice(2)
          return own === undefined || other === undefined ? [] : [{ own, other }]
        }),
    [Symbol.dispose]: remove
  }
}

/** Of runs that were killed: nothing else ends a namespace. */
function removeLeftOvers(): void {
  for (const one of listed()) {
    const pid = Number(/^pinsub-(\d+)-/.exec(one)?.[1])
    if (pid > 0 && !isAlive(pid)) ip('netns', 'del', one)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function listed(): string[] {
  return ip('netns', 'list')
    .split('\n')
    .flatMap((line) => line.split(' ').slice(0, 1))
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** How figures and names look to people. */

/** `18.4 MB`: decimal units, as disks and networks are sold. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = size
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `41 ms`, `2.1 s`, `4 min`. */
export function duration(ms: number): string {
  if (ms < 100) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.round(ms / 60_000)} min`
}

/** `12 s ago`, `4 min ago`, `3 h ago`, `2 days ago`. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

/** `12D3KooWAbc…x1`: enough to tell peers apart. */
export function shortNode(node: string): string {
  return node.length > 18 ? `${node.slice(0, 12)}…${node.slice(-4)}` : node
}

/** `bafybeih5n2…4q4q`. */
export function shortCid(cid: string): string {
  return cid.length > 24 ? `${cid.slice(0, 12)}…${cid.slice(-6)}` : cid
}

/** `1 node`, `3 nodes`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

/** Columns padded to their widest cell, two spaces between, no trailing space. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  )
}

/** A word for a shell: quoted where it must be. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

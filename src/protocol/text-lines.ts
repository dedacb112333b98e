/** Lines of the text files that people and pinsub both edit. Pure. */

/** A byte order mark where there is one, and the lines, each with its end as it stands. */
export function splitLines(text: string): { readonly mark: string; readonly lines: readonly string[] } {
  const mark = text.startsWith('\uFEFF') ? '\uFEFF' : ''
  return { mark, lines: text.slice(mark.length).match(/[^\n]*\n|[^\n]+$/g) ?? [] }
}

/** The text with lines more, which end as its others do; a last line without an end gets one. */
export function appendLines(text: string, lines: readonly string[]): string {
  const end = text.includes('\r\n') ? '\r\n' : '\n'
  const joint = text === '' || text.endsWith('\n') ? '' : end
  return `${text}${joint}${lines.map((line) => `${line}${end}`).join('')}`
}

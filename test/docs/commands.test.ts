import type { Command, CommanderError } from 'commander'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { blocks, read } from './support.ts'

/** Words of each `pinsub …` in a line of shell, in the order in which they begin; nested `$(…)` is a command of its own. */
function commandLines(line: string): string[][] {
  const found: string[][] = []
  const rest = line.replace(/\$\(([^()]*)\)/g, (_, inner: string) => (found.push(...commandLines(inner)), 'substituted'))
  for (const words of simpleCommands(rest)) {
    const start = words.findIndex((word, i) => word === 'pinsub' && words[i - 1] !== '-p')
    if (start >= 0 && words.slice(0, start).every((word) => /^([A-Z_]+=.*|npx|-y|-p|node@24|pinsub|.*\.tgz)$/.test(word)))
      found.push(words.slice(start + 1))
  }
  return found
}

/** Splits at `|`, `;`, `&&`; drops comments, prompts and redirections; takes quotes off. */
function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]]
  const tokens = line
    .replace(/^\S+@\S+[$#] /, '')
    .matchAll(/\s*(?:(#.*)|(\|\|?|&&?|;)|(\d?>>?|<)\s*\S+|((?:'[^']*'|"[^"]*"|[^\s'"|&;<>])+))/gy)
  for (const [, comment, separator, redirection, word] of tokens) {
    if (comment !== undefined) break
    if (separator !== undefined) commands.push([])
    else if (redirection === undefined && word !== undefined) commands.at(-1)?.push(word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'))
  }
  return commands
}

interface Shown {
  readonly line: string
  /** In the text `pinsub add` may stand for the command; in a block it is to be typed. */
  readonly isNameOnly: boolean
}

/** All that a page shows: lines of its blocks, and code in its text that begins with `pinsub`. */
function shown(page: string): Shown[] {
  const text = read(page)
  const inBlocks = blocks(text)
    .filter(({ language }) => ['', 'sh'].includes(language))
    .flatMap(({ text: block, language }) => block.split('\n').filter((line) => language === 'sh' || /^\S+@\S+[$#] |^ {2}npx /.test(line)))
  const inText = [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)]
    .map(([, code = '']) => code)
    .filter((code) => /(^|\$\()pinsub \S/.test(code))
  return [...inBlocks.map((line) => ({ line, isNameOnly: false })), ...inText.map((line) => ({ line, isNameOnly: true }))]
}

async function parse(words: readonly string[], isNameOnly = false): Promise<void> {
  const program = createProgram(async () => {}, '0.0.0')
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)]
  for (const command of all(program)) command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} })
  await program.parseAsync([...words], { from: 'user' }).catch((err: CommanderError) => {
    if (err.exitCode !== 0 && !(isNameOnly && err.code === 'commander.missingArgument'))
      throw new Error(`pinsub ${words.join(' ')}: ${err.message}`, { cause: err })
  })
}

describe('every command line that is shown can be given', () => {
  const pages = ['README.md', 'docs/OPERATIONS.md', 'keys/README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
  const lines = pages.flatMap((page) =>
    shown(page).flatMap(({ line, isNameOnly }) => commandLines(line).map((words) => [page, words.join(' '), words, isNameOnly] as const))
  )

  test('they are found', () => {
    expect(lines.length).toBeGreaterThan(40)
    expect(
      commandLines("x | PINSUB_KEY=a npx -y -p node@24 -p pinsub pinsub add 'a b' --wait 2 2>&1 > out # c | pinsub x; cid=$(pinsub ls)")
    ).toEqual([['ls'], ['add', 'a b', '--wait', '2']])
  })

  test.each(lines)('%s: pinsub %s', async (_, __, words, isNameOnly) => {
    await parse(words, isNameOnly)
  })

  test('a wrong one would be found', async () => {
    await expect(parse(['send', 'pin', 'CID', '--nmae', 'x'])).rejects.toThrow('unknown option')
    await expect(parse(['keys', 'rotat'])).rejects.toThrow(/unknown command|too many arguments/)
    await expect(parse(['send', 'pin'])).rejects.toThrow('missing required argument')
  })
})

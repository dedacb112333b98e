/** `pinsub completion SHELL`: a completion script made from the commands themselves. */
import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'

interface Level {
  /** Words that lead here, `send pin`; empty for the program. */
  readonly path: string
  readonly words: readonly string[]
}

const SCRIPTS: Readonly<Record<string, (levels: readonly Level[]) => string>> = { bash, zsh, fish }

/** Prints the script. */
export async function completion({ output }: Context, shell: string, program: Command): Promise<number> {
  const script = SCRIPTS[shell]
  if (script === undefined) throw new CliError(EXIT.usage, 'shell', `no completion for "${shell}": bash, zsh or fish`)
  const text = script(levelsOf(program, ''))
  output.event({ event: 'completion', shell, text })
  output.result(text)
  return EXIT.ok
}

function levelsOf(command: Command, path: string): Level[] {
  const options = [...command.options, ...(command.parent === null ? [] : rootOf(command).options)]
  const words = [...command.commands.map((child) => child.name()), ...options.map(({ long }) => long ?? ''), '--help']
  const below = command.commands.flatMap((child) => levelsOf(child, `${path} ${child.name()}`.trim()))
  return [{ path, words: [...new Set(words)] }, ...below]
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent)
}

function bash(levels: readonly Level[]): string {
  const cases = levels.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`)
  return `# pinsub completion for bash
_pinsub() {
  local cur path word words
  cur="\${COMP_WORDS[COMP_CWORD]}"
  path=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
${levels
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      '${path.includes(' ') ? path : ` ${path}`}') path='${path}' ;;`)
  .join('\n')}
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _pinsub pinsub`
}

function zsh(levels: readonly Level[]): string {
  return `#compdef pinsub
autoload -U +X bashcompinit && bashcompinit
${bash(levels)}`
}

function fish(levels: readonly Level[]): string {
  const lines = levels.flatMap(({ path, words }) => {
    const parts = path.split(' ').filter((part) => part !== '')
    const seen = parts.map((part) => `__fish_seen_subcommand_from ${part}`)
    const condition = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ')
    return words.map((word) =>
      word.startsWith('--') ? `complete -c pinsub -n '${condition}' -l ${word.slice(2)}` : `complete -c pinsub -n '${condition}' -a ${word}`
    )
  })
  return ['# pinsub completion for fish', ...lines].join('\n')
}

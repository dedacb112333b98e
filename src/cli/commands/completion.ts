/** `pinsub completion SHELL`: a completion script made from the commands themselves. */
import type { Command, Option } from 'commander'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'

interface Level {
  /** Words that lead here, `send pin`; empty for the program. */
  readonly path: string
  /** What may stand there: commands, and values of an argument that has only some. */
  readonly words: readonly string[]
  readonly options: readonly Option[]
}

const SCRIPTS = { bash, zsh, fish } as const

/** A shell that there is a script for. */
export type Shell = keyof typeof SCRIPTS

/** Prints the script. */
export async function completion({ output }: Context, shell: Shell, program: Command): Promise<number> {
  const text = SCRIPTS[shell](levelsOf(program, ''))
  output.event({ event: 'completion', shell, text })
  output.result(text)
  return EXIT.ok
}

function levelsOf(command: Command, path: string): Level[] {
  const options = [...command.options, ...(command.parent === null ? [] : rootOf(command).options)]
  const words = [
    ...command.commands.map((child) => child.name()),
    ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
  ]
  const below = command.commands.flatMap((child) => levelsOf(child, `${path} ${child.name()}`.trim()))
  return [{ path, words, options }, ...below]
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent)
}

function bash(levels: readonly Level[]): string {
  const cases = levels.map(({ path, words, options }) => `    '${path}') words='${[...words, ...longs(options), '--help'].join(' ')}' ;;`)
  // What follows an option that takes a value is one of its choices, else a file.
  const valued = levels.flatMap(({ options }) => options.filter(({ required }) => required))
  const choices = new Map(valued.map(({ long, argChoices = [] }) => [long, argChoices.join(' ')]))
  const values = [...choices].map(([long, words]) => `    ${long}) words='${words}' ;;`)
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
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
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
  const lines = levels.flatMap(({ path, words, options }) => {
    const parts = path.split(' ').filter((part) => part !== '')
    const seen = parts.map((part) => `__fish_seen_subcommand_from ${part}`)
    const complete = `complete -c pinsub -n '${seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ')}'`
    return [
      ...words.map((word) => `${complete} -a ${word}`),
      ...options.map((option) => `${complete} -l ${option.long?.slice(2)}${fishValue(option)}`),
      `${complete} -l help`
    ]
  })
  return ['# pinsub completion for fish', ...lines].join('\n')
}

function fishValue({ required, argChoices }: Option): string {
  if (argChoices !== undefined) return ` -x -a '${argChoices.join(' ')}'`
  return required ? ' -r' : ''
}

function longs(options: readonly Option[]): string[] {
  return options.map(({ long }) => long ?? '')
}

import { describe, expect, test } from 'vitest'
import { EXIT } from '../../src/cli/exit.ts'
import { createProgram } from '../../src/cli/program.ts'
import { homeLayout } from '../../src/config/home.ts'
import { DEFAULTS, SETTINGS, type Setting } from '../../src/config/settings.ts'
import { parseDuration } from '../../src/config/units.ts'
import { files, read, table } from './support.ts'

const operations = read('docs/OPERATIONS.md')
const bare = (cell: string): string => cell.replaceAll('`', '')

describe('docs/OPERATIONS.md', () => {
  const settings = table(operations, 'setting')

  test('lists every setting and no other', () => {
    expect(settings.map(([name = '']) => bare(name)).toSorted()).toEqual(Object.keys(SETTINGS).toSorted())
  })

  test('gives the defaults', () => {
    const given = new Map(settings.map(([name = '', value = '']) => [bare(name), bare(value)]))
    for (const [name, value] of Object.entries(DEFAULTS)) {
      const text = given.get(name) ?? ''
      expect(name === 'timeout' ? parseDuration(text) : text, name).toBe(value)
    }
  })

  test('says which settings have no flag', () => {
    const program = createProgram(async () => {}, '0.0.0')
    const commands = [program, ...program.commands.flatMap((command) => [command, ...command.commands])]
    const flags = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long)))
    for (const [name = '', , meaning = ''] of settings) {
      const setting: Setting = SETTINGS[bare(name) as keyof typeof SETTINGS]
      expect(flags.has(`--${bare(name)}`), name).toBe(setting.noFlag !== true)
      expect(meaning.includes('no flag'), name).toBe(setting.noFlag === true)
    }
  })

  test('names every file of the home', () => {
    const { dir, nodeDir, senderDir, ...paths } = homeLayout('/home')
    const text = table(operations, 'file')
      .map(([name]) => name)
      .join(' ')
    expect(nodeDir.startsWith(dir) && senderDir.startsWith(dir)).toBe(true)
    for (const path of Object.values(paths)) expect(text).toContain(path.slice('/home/'.length))
  })

  test('quotes messages as the sources have them', () => {
    const sources = files('src/**/*.ts').map(read).join('\n')
    const quoted = table(operations, 'message').flatMap(([cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message)
    )
    expect(quoted.length).toBeGreaterThan(20)
    for (const message of quoted) {
      for (const part of message
        .split('…')
        .map((text) => text.trim())
        .filter((text) => text.length > 2)) {
        expect(sources.includes(part), `"${part}" of "${message}"`).toBe(true)
      }
    }
  })
})

describe('exit codes', () => {
  const codes = Object.values(EXIT).map(String)

  test.each(['README.md', 'docs/OPERATIONS.md'])('%s lists them all and no other', (page) => {
    const heading = page === 'README.md' ? 'exit code' : 'code'
    expect(table(read(page), heading).map(([code]) => code)).toEqual(codes)
  })
})

describe('docs/ARCHITECTURE.md', () => {
  const rooms = table(read('docs/ARCHITECTURE.md'), 'room').map(([room = '', , may = '']) => ({ room: bare(room), may: may.split(', ') }))

  test('names the rooms that there are', () => {
    const found = files('src/*/*.ts').map((path) => path.split('/')[1])
    expect(new Set(rooms.map(({ room }) => room))).toEqual(new Set(found))
  })

  test('says of each what the linter says', () => {
    const { overrides } = JSON.parse(read('.oxlintrc.json')) as {
      overrides: { files: string[]; rules: Record<string, [string, { patterns: { regex?: string }[] }]> }[]
    }
    for (const { room, may } of rooms) {
      const rule = overrides.find(({ files: globs }) => globs.length === 1 && globs[0] === `src/${room}/**`)?.rules['no-restricted-imports']
      const patterns = (rule?.[1].patterns ?? []).flatMap(({ regex }) => (regex === undefined ? [] : [new RegExp(regex)]))
      expect(patterns.length, room).toBeGreaterThan(0)
      const allowed = rooms
        .map((other) => other.room)
        .filter((other) => other !== room && !patterns.some((pattern) => pattern.test(`../${other}/x.ts`)))
      expect(allowed.toSorted(), room).toEqual(may.filter((other) => other !== 'itself').toSorted())
    }
  })
})

/** What every command is given. */
import { readConfigFile } from '../config/file.ts'
import { resolveConfig, type Config } from '../config/config.ts'
import { homeDirectory, homeLayout, type Home } from '../config/home.ts'
import { requireOwnHome } from '../identity/own-home.ts'
import { CliError, EXIT } from './exit.ts'
import { createOutput, type Output, type Streams } from './output.ts'

/** The run of one command. */
export interface Context {
  readonly config: Config
  /** As the command line has them. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly home: Home
  readonly output: Output
  /** Ends with the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
  readonly version: string
  /** Where `-` reads from. */
  readonly stdin: NodeJS.ReadableStream
}

/** What the process gives. */
export interface World extends Streams {
  readonly stdin: NodeJS.ReadableStream
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly version: string
}

/** Reads flags, environment and config.json. Throws `ConfigError`, and `IdentityError` for a home that somebody else may change. */
export async function createContext(flags: Readonly<Record<string, unknown>>, world: World): Promise<Context> {
  const home = homeLayout(homeDirectory(flags['home'] as string | undefined, world.env))
  const file = await readConfigFile(home.config)
  await requireOwnHome(home.dir, home.config, file?.['kubo-authorization'] !== undefined)
  const config = resolveConfig({ flags, env: world.env, file })
  const { signal, version, stdin } = world
  return { config, flags, home, output: createOutput(config.json, world, world.env), signal, version, stdin }
}

/** The network's name; a usage error that says how to get one where there is none. */
export function requireNetwork({ config, home }: Context): string {
  if (config.network !== undefined) return config.network
  throw new CliError(
    EXIT.usage,
    'no-network',
    `no network: --network was not given, and ${home.config} names none`,
    'run pinsub init first, or give --network NAME'
  )
}

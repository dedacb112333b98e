import { DEFAULTS } from './settings.ts'
import { fromConfigFile, fromEnv, fromFlags, type Values } from './sources.ts'

/** The settings of one run, checked and frozen. */
export interface Config {
  /** Name of the network; undefined before `init` or `--network`. */
  readonly network: string | undefined
  /** Peers to dial, as given: multiaddrs, or `IP[:PORT]`. */
  readonly bootstrap: readonly string[]
  /** Multiaddrs to listen on; undefined where none were given, so that each command has its own default. */
  readonly listen: readonly string[] | undefined
  /** Multiaddrs to tell others instead of those found. */
  readonly announce: readonly string[]
  /** Where the allowlist is; undefined for the one in the home. */
  readonly authorizedKeys: string | undefined
  /** Key lines that count besides the file; each was read once without error. */
  readonly authorize: readonly string[]
  readonly backend: 'auto' | 'helia' | 'kubo'
  /** Base URL of Kubo's RPC. */
  readonly kuboApi: string
  /** Value of the Authorization header for it. */
  readonly kuboAuthorization: string | undefined
  /** Shell command that starts the Kubo daemon. */
  readonly startDaemon: string | undefined
  readonly tags: Readonly<Record<string, string>>
  /** Bytes the node offers. */
  readonly capacity: number | undefined
  /** `FILE` or `agent:ID`; undefined for the key of the home. */
  readonly key: string | undefined
  /** File whose first line is the passphrase of the key. */
  readonly keyPassphraseFile: string | undefined
  /** File with the key of a private network; undefined where the network has none. */
  readonly swarmKey: string | undefined
  /** How many nodes must acknowledge. */
  readonly wait: number | 'all' | undefined
  /** Milliseconds. */
  readonly timeout: number
  /** The factor signed into commands. */
  readonly replicas: number | undefined
  readonly pinset: string
  readonly json: boolean
  readonly verbose: boolean
  readonly mdns: boolean
  /** Whether admins may change keys and known nodes of a node by message. */
  readonly remoteKeys: boolean
}

/** Where settings come from, strongest first. */
export interface ConfigSources {
  /** Parsed flags by long name, `kubo-api` or `kuboApi`; undefined values and names that are no settings are passed over. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** What {@link readConfigFile} returned. */
  readonly file: unknown
}

/**
 * Resolves each setting: flag, else `PINSUB_<FLAG>` (an empty variable counts as absent; lists are separated by spaces or
 * commas, `PINSUB_AUTHORIZE` by line ends), else config.json, else the default. A list replaces a weaker one whole. All
 * sources are checked, also where a stronger one wins. Throws {@link ConfigError} that names the source and what would do.
 */
export function resolveConfig(sources: ConfigSources): Config {
  const values: Values = { ...fromConfigFile(sources.file), ...fromEnv(sources.env), ...fromFlags(sources.flags) }
  return Object.freeze({
    network: values.network,
    bootstrap: values.bootstrap ?? [],
    listen: values.listen,
    announce: values.announce ?? [],
    authorizedKeys: values['authorized-keys'],
    authorize: values.authorize ?? [],
    backend: values.backend ?? DEFAULTS.backend,
    kuboApi: values['kubo-api'] ?? DEFAULTS['kubo-api'],
    kuboAuthorization: values['kubo-authorization'],
    startDaemon: values['start-daemon'],
    tags: values.tag ?? {},
    capacity: values.capacity,
    key: values.key,
    keyPassphraseFile: values['key-passphrase-file'],
    swarmKey: values['swarm-key'],
    wait: values.wait,
    timeout: values.timeout ?? DEFAULTS.timeout,
    replicas: values.replicas,
    pinset: values.pinset ?? DEFAULTS.pinset,
    json: values.json ?? false,
    verbose: values.verbose ?? false,
    mdns: values.mdns ?? false,
    remoteKeys: values['remote-keys'] ?? true
  })
}

/** A setting that cannot be used; the message names where it was given (flag, variable, `config.json`) and what would do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'config'
}

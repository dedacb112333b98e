/**
 * Half of what V8 uses for young objects, MB. Left alone it grows to 32 in a burst of work and never gives that back; with 4 an agent is
 * as fast, and 60 MB smaller after a flood.
 */
const SEMI_SPACE_MB = 4

/**
 * Bounds what V8 uses for young objects, unless Node was started with a bound. V8 takes it at its start only, so this program replaces
 * itself, with the same process id, streams and arguments, and does not return. Returns where that was done or cannot be (Windows).
 */
export function boundYoungGeneration(): void {
  const { execve, execPath, execArgv, argv, env, platform } = process
  const isChosen = [...execArgv, env['NODE_OPTIONS'] ?? ''].some((options) => /max[-_]semi[-_]space[-_]size/.test(options))
  if (isChosen || platform === 'win32') return
  execve?.(execPath, [execPath, `--max-semi-space-size=${SEMI_SPACE_MB}`, ...execArgv, ...argv.slice(1)], env)
}

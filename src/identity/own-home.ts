/** Whose a home is: its settings start programs and say where secrets go, so whoever can change them acts as the user who runs pinsub. */
import { stat } from 'node:fs/promises'
import { othersMayWrite } from './authorized-keys-file.ts'
import { IdentityError } from './errors.ts'

/**
 * Refuses a home that somebody else made or may change, as sshd's StrictModes does: its folder and its `config.json`, each where it is
 * there, must belong to this user or root and be writable by nobody else. Links are followed. `hasSecret` says that config.json, if it
 * is this user's, must be readable by nobody else either. Throws {@link IdentityError} `permissions`.
 */
export async function requireOwnHome(dir: string, config: string, hasSecret: boolean): Promise<void> {
  const user = process.getuid?.()
  if (user === undefined) return
  for (const path of [dir, config]) {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) continue
    const { uid, gid } = found
    const mode = found.mode & 0o7777
    const octal = mode.toString(8).padStart(4, '0')
    const refuse = (what: string, out: string): never => {
      throw new IdentityError('permissions', path, `${path} ${what}, so nothing here is used: ${out}`)
    }
    if (uid !== user && uid !== 0)
      refuse(
        `belongs to another user (uid ${uid}), who could have this one run anything`,
        `chown ${user} ${path}, or name a home of your own with --home`
      )
    if (othersMayWrite(mode, uid, gid))
      refuse(
        `can be changed by others (mode ${octal}), who could have this user run anything`,
        `chmod go-w ${path}, or name a folder of your own with --home`
      )
    if (path === config && hasSecret && uid === user && (mode & 0o077) !== 0)
      refuse(`holds kubo-authorization and can be read by others (mode ${octal})`, `chmod 600 ${path}`)
  }
}

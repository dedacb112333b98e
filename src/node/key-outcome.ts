/** What a file would come to in a home, together with what its node was told by message. */
import { decideKeys, type AdminOutcome } from '../protocol/admin.ts'
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import { refiled } from '../protocol/standings.ts'
import type { StateReader } from '../storage/state-reader.ts'
import { readAdminCommand } from './admin-commands.ts'

/** Works it out as an agent does when the file comes into force at `now`; without a state there are no messages. */
export function keyOutcome(
  state: Pick<StateReader, 'filed' | 'adminCommands'> | undefined,
  keys: Pick<AuthorizedKeys, 'grants' | 'revoked'>,
  options: { readonly network: string; readonly obeysMessages: boolean; readonly now: number }
): AdminOutcome {
  const filed = state?.filed() ?? new Map()
  const commands = options.obeysMessages ? (state?.adminCommands() ?? []) : []
  const file = {
    order: [...keys.grants.keys()],
    standings: new Map([...filed, ...refiled(filed, keys, options.now)]),
    revoked: keys.revoked
  }
  return decideKeys(
    file,
    commands.map((command) => readAdminCommand(command, options.network))
  )
}

/** Every decoder and parser that reads what somebody else wrote. */
import type { Target } from './target.ts'
import { CONTENT } from './targets/content.ts'
import { KEY_FILES } from './targets/key-files.ts'
import { KEYS } from './targets/keys.ts'
import { LINES } from './targets/lines.ts'
import { MESSAGES } from './targets/messages.ts'
import { NETWORK_TARGETS } from './targets/network.ts'
import { PEERS } from './targets/peers.ts'
import { SETTING_TARGETS } from './targets/settings.ts'
import { SYNC } from './targets/sync.ts'

/** The table. */
export const TARGETS: readonly Target[] = [
  ...MESSAGES,
  ...SYNC,
  ...KEYS,
  ...KEY_FILES,
  ...SETTING_TARGETS,
  ...LINES,
  ...CONTENT,
  ...NETWORK_TARGETS,
  ...PEERS
]

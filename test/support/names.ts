/** Names that objects treat specially, and some that every message has. */
export const SPECIAL_NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '/', 'bytes', 'asCID', 'op', 'cid'] as const

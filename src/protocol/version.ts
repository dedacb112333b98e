/** Version of all payloads that this code writes, and the only one it reads. */
export const PROTOCOL_VERSION = 1

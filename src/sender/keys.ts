/** Keys for whoever makes a sender in a program of his own. */
export { openKey, type OpenKey, type OpenKeyOptions } from '../identity/open-key.ts'
export type { AskPassphrase } from '../identity/key-file.ts'
export type { Signer } from '../protocol/signature.ts'

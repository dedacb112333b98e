/**
 * pinsub as a library: `import { createSender } from 'pinsub'`.
 * README shows it in use; the examples there are run by the tests.
 */
export { createSender, type Sender, type SenderOptions } from './sender/sender.ts'
export { openKey, type AskPassphrase, type OpenKey, type OpenKeyOptions, type Signer } from './sender/keys.ts'
export { SenderError, type SenderErrorCode } from './sender/errors.ts'
export type {
  AckEvent,
  AckStatus,
  AddEvent,
  AddOptions,
  AdminEvent,
  AdminRequest,
  DoneEvent,
  ImportedEvent,
  NodeEvent,
  Op,
  Outcome,
  PinEvent,
  ProgressEvent,
  Reached,
  SendEvent,
  SendOptions,
  SentEvent,
  StatusEvent,
  StatusOptions
} from './sender/types.ts'

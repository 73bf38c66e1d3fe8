export { decodeConfChange, encodeConfChange, LEAVE_JOINT } from './conf-change.js';
export type { EncodedConfChange } from './conf-change.js';
export { decodeEntry, encodeEntry } from './entry.js';
export type { DecodeLimits } from './limits.js';
export { decodeMessage, encodeMessage } from './message.js';
export {
  decodeConfState,
  decodeHardState,
  decodeSnapshot,
  encodeConfState,
  encodeHardState,
  encodeSnapshot,
} from './states.js';
export { entriesSize, entrySize } from '../sizes.js';

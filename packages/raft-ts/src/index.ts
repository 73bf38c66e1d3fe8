export {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MAX_INDEX,
  MAX_NODE_ID,
  NONE,
} from './numbers.js';
export type { Bytes, Index, NodeId, Term, Ticks } from './numbers.js';
export type {
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV1,
  ConfChangeV2,
  ConfState,
  Entry,
  EntryId,
  EntryType,
  HardState,
  ReadState,
  Snapshot,
  SnapshotMetadata,
  SoftState,
  StateType,
} from './types.js';
export type * from './message-types.js';
export type { Ready } from './ready-types.js';
export type {
  BasicStatus,
  InflightsView,
  ProgressState,
  ProgressView,
  Status,
  TrackerConfig,
} from './status-types.js';
export type * from './trace.js';
export type { Config, LogLevel, Logger, ReadOnlyOption } from './config.js';
export type { Compacted, InitialState, Storage, Unavailable } from './storage.js';
export {
  ConfChangeError,
  ConfigError,
  ProposalDroppedError,
  RaftCodecError,
  RaftError,
  RaftInvariantError,
  StepError,
} from './errors.js';
export type { ProposalDroppedReason, StepErrorCode } from './errors.js';
export { message } from './messages.js';
export { MemoryStorage } from './memory-storage.js';
export { RawNode } from './raw-node.js';
export type { BootstrapPeer, SnapshotStatus } from './raw-node.js';
export { quorum } from './quorum.js';
export type { QuorumFunctions, VoteResult, VoterSets } from './quorum.js';
export { confchange } from './confchange.js';
export type { ChangerState, ConfChangeFunctions } from './confchange.js';
export type { InflightLimits } from './inflights.js';
export { decodeConfChange, encodeConfChange, LEAVE_JOINT } from './codec/conf-change.js';
export type { EncodedConfChange } from './codec/conf-change.js';
export { entriesSize, entrySize } from './sizes.js';
export {
  describeConfChange,
  describeConfig,
  describeConfState,
  describeProgress,
} from './describe-config.js';
export {
  describeEntries,
  describeEntry,
  describeHardState,
  describeMessage,
  describeReady,
  describeSnapshot,
  describeSoftState,
} from './describe.js';

export { isSpent } from './admins.js';
export type { AssignedTask, NodeAssignments, ResolvedBinding } from './assignments.js';
export type { Change, ChangeAction, ChangeBatch, SecretVersionInfo } from './changes.js';
export { decodeCommand, encodeCommand, isOwnFormat } from './codec.js';
export type {
  Command,
  CommandBase,
  CommandBody,
  JoiningNode,
  NodeObservation,
  RewrappedVersion,
  TaskChange,
  TaskReport,
} from './commands.js';
export { compareNatural } from './natural.js';
export type { StateCounts } from './queries.js';
export { TASK_STATES } from './rows.js';
export type {
  Actor,
  AdminRow,
  BindingSpec,
  CertificateRow,
  CertificateSettings,
  ClusterRow,
  ClusterSettings,
  CommandResult,
  CompromiseRow,
  CompromiseStep,
  EvictedNode,
  ExposureRow,
  ManagerRow,
  NodeRow,
  OnChange,
  ReceiptRow,
  RecoveryRow,
  RequestRow,
  RestartSpec,
  RingRotationRow,
  RootRotationRow,
  RootRow,
  SealedValueRow,
  SecretEventRow,
  SecretRow,
  SecretVersionRow,
  ServiceRow,
  ServiceSpec,
  TaskRow,
  TaskState,
  TokenRow,
  UpdateSpec,
} from './rows.js';
export { SECRET_USERS_NAMED_MAX } from './secret-users.js';
export type { SnapshotView } from './snapshot.js';
export { desiredAssignments, restoreState, State, stateDigest, StateRestorer } from './state.js';
export type { StateOptions } from './state.js';
export { tokenFault } from './tokens.js';
export { isEnded, isOnNode, stateRank } from './tables.js';
export type { WatchListener } from './watch.js';

import { ADMIN_ROLES } from '@conclave/kernel';
import type {
  Actor,
  AdminRow,
  BindingSpec,
  CertificateRow,
  CertificateSettings,
  ClusterRow,
  CompromiseRow,
  EvictedNode,
  ClusterSettings,
  CommandResult,
  ExposureRow,
  FormerRootRow,
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
  ServiceRow,
  ServiceSpec,
  TaskRow,
  TokenRow,
  UpdateSpec,
} from './rows.js';
import { TASK_STATES } from './rows.js';
import type { Fields, Parser } from './schema.js';
import {
  bytes,
  count,
  fields,
  flag,
  list,
  oneOf,
  optional,
  record,
  text,
  variants,
  whole,
  yes,
} from './schema.js';
import type { RaftIdRow, RemovedNodeRow } from './tables.js';

/** Texts by name: labels, environment. */
export const labels: Parser<Readonly<Record<string, string>>> = record(text);

/** An {@link Actor}. */
export const actor: Parser<Actor> = fields<Actor>({
  kind: oneOf('admin', 'node', 'system'),
  id: text,
});

/** The {@link ClusterSettings}. */
export const settings: Parser<ClusterSettings> = fields<ClusterSettings>({
  secretValueBytesMax: count,
  heartbeatPeriodMs: count,
  certificates: fields<CertificateSettings>({
    managerLifeMs: count,
    workerLifeMs: count,
    adminLifeMs: count,
  }),
});

/** The fields of a {@link RecoveryRow}. */
export const recoveryFields: Fields<RecoveryRow> = {
  generation: count,
  publicKey: bytes,
  threshold: count,
  shareHashes: list(bytes),
};
const recovery: Parser<RecoveryRow> = fields<RecoveryRow>(recoveryFields);

/** A {@link RootRow}. */
export const root: Parser<RootRow> = fields<RootRow>({
  certificate: bytes,
  keySealed: bytes,
  keyId: count,
});

/** The fields of a {@link ClusterRow}. */
export const clusterFields: Fields<ClusterRow> = {
  id: text,
  createdAtMs: count,
  epoch: count,
  rootCertificate: bytes,
  rootKeySealed: bytes,
  rootKeyId: count,
  rootGeneration: count,
  rootStep: count,
  rootRotation: optional(
    fields<RootRotationRow>({
      phase: oneOf('making', 'spreading', 'renewing', 'dropping'),
      next: optional(root),
      previousCertificate: bytes,
      crossCertificate: bytes,
      isRepeated: flag,
      distrustsFormer: flag,
      startedAtMs: count,
      startedBy: actor,
    }),
  ),
  formerRoots: list(
    fields<FormerRootRow>({ generation: count, certificate: bytes, crossCertificate: bytes }),
  ),
  ringGeneration: count,
  ringKeyId: count,
  ringCommitment: bytes,
  ringRotatedAtMs: count,
  ringRotation: optional(
    fields<RingRotationRow>({
      phase: oneOf('offering', 'spreading', 'rewrapping', 'retiring'),
      keyId: count,
      commitment: bytes,
      generation: count,
      startedAtMs: count,
      startedBy: actor,
    }),
  ),
  recovery,
  stagedRecovery: optional(recovery),
  stagedRecoveryBy: list(text),
  oldRecoveryOn: list(text),
  compromise: optional(
    fields<CompromiseRow>({
      evicted: list(fields<EvictedNode>({ id: text, hostname: text, isManager: flag })),
      endsAdmins: flag,
      isRootAsked: flag,
      isRingAsked: flag,
      recoveryGeneration: count,
      startedAtMs: count,
      startedBy: actor,
    }),
  ),
  settings,
  objectVersion: count,
};

/** A {@link SealedValueRow}. */
export const sealedValue: Parser<SealedValueRow> = fields<SealedValueRow>({
  keyId: count,
  wrappedDek: bytes,
  envelope: bytes,
  size: count,
});

const onChange: Parser<OnChange> = variants<OnChange>('kind', {
  none: fields<Extract<OnChange, { kind: 'none' }>>({ kind: oneOf('none') }),
  signal: fields<Extract<OnChange, { kind: 'signal' }>>({ kind: oneOf('signal'), signal: text }),
  exec: fields<Extract<OnChange, { kind: 'exec' }>>({ kind: oneOf('exec'), command: text }),
  restart: fields<Extract<OnChange, { kind: 'restart' }>>({ kind: oneOf('restart') }),
});

const binding: Parser<BindingSpec> = fields<BindingSpec>({
  secretId: text,
  secretName: text,
  version: count,
  target: text,
  uid: optional(count),
  gid: optional(count),
  mode: count,
  onChange,
  isOptional: flag,
});

/** A {@link ServiceSpec}. */
export const serviceSpec: Parser<ServiceSpec> = fields<ServiceSpec>({
  name: text,
  runtime: oneOf('process', 'container'),
  command: list(text),
  image: text,
  env: labels,
  workingDirectory: text,
  user: text,
  mode: oneOf('replicated', 'global'),
  replicas: count,
  replicasPerNodeMax: count,
  bindings: list(binding),
  constraints: list(text),
  restart: fields<RestartSpec>({
    condition: oneOf('none', 'on-failure', 'any'),
    delayMs: count,
    attemptsMax: count,
    windowMs: count,
  }),
  update: fields<UpdateSpec>({
    parallelism: count,
    delayMs: count,
    order: oneOf('stop-first', 'start-first'),
    failureAction: oneOf('pause', 'continue', 'rollback'),
  }),
  stopSignal: text,
  stopGraceMs: count,
  labels,
});

/** The fields of a {@link ServiceRow} but its specs, which snapshots carry apart. */
export const serviceFields: Omit<Fields<ServiceRow>, 'spec' | 'previousSpec'> = {
  id: text,
  specVersion: count,
  updateState: oneOf('', 'updating', 'paused', 'completed', 'rolled-back'),
  updateMessage: text,
  isRemoving: flag,
  createdAtMs: count,
  updatedAtMs: count,
  objectVersion: count,
};

/** A state of a task. */
export const taskState: Parser<TaskRow['state']> = oneOf(...TASK_STATES);

/** The fields of a {@link TaskRow} but its spec, which snapshots carry apart. */
export const taskFields: Omit<Fields<TaskRow>, 'spec'> = {
  id: text,
  serviceId: text,
  serviceName: text,
  slot: count,
  nodeId: text,
  specVersion: count,
  desiredState: oneOf('RUNNING', 'SHUTDOWN', 'REMOVE'),
  state: taskState,
  message: text,
  error: text,
  exitCode: optional(whole),
  notBeforeMs: count,
  createdAtMs: count,
  stateAtMs: count,
  objectVersion: count,
};

/** A {@link CertificateRow}. */
export const certificate: Parser<CertificateRow> = fields<CertificateRow>({
  serial: text,
  notBeforeMs: count,
  notAfterMs: count,
  publicKeyHash: text,
  root: count,
});

/** The fields of a {@link ManagerRow}. */
export const managerFields: Fields<ManagerRow> = {
  raftId: count,
  clusterAddress: text,
  joinAddress: text,
  staticPublicKey: bytes,
  signingPublicKey: bytes,
  membership: oneOf('joining', 'learner', 'voter', 'removing'),
  ringGeneration: count,
};

/** The fields of a {@link NodeRow}. */
export const nodeFields: Fields<NodeRow> = {
  id: text,
  hostname: text,
  role: oneOf('manager', 'worker'),
  wantedRole: oneOf('manager', 'worker'),
  state: oneOf('UNKNOWN', 'READY', 'DOWN'),
  stateAtMs: count,
  message: text,
  availability: oneOf('active', 'pause', 'drain'),
  labels,
  platformOs: text,
  daemonVersion: text,
  executors: list(text),
  certificate,
  previousCertificate: optional(certificate),
  previousUntilMs: count,
  manager: optional(fields(managerFields)),
  rootStep: count,
  waiting: optional(fields({ manager: optional(fields(managerFields)) })),
  sessionId: text,
  sessionCount: count,
  tokenId: text,
  createdAtMs: count,
  objectVersion: count,
};

/** A {@link RaftIdRow}. */
export const raftIdRow: Parser<RaftIdRow> = fields<RaftIdRow>({
  raftId: count,
  nodeId: text,
  sinceIndex: count,
});

/** A {@link RemovedNodeRow}. */
export const removedNodeRow: Parser<RemovedNodeRow> = fields<RemovedNodeRow>({
  nodeId: text,
  index: count,
});

/** The fields of a {@link TokenRow}. */
export const tokenFields: Fields<TokenRow> = {
  id: text,
  role: oneOf('manager', 'worker'),
  publicKey: bytes,
  expiresAtMs: count,
  usesLeft: count,
  needsApproval: flag,
  addressRanges: list(text),
  hostnamePattern: text,
  isRevoked: flag,
  admittedNodes: list(text),
  createdAtMs: count,
  createdBy: actor,
  objectVersion: count,
};

/** The fields of an {@link AdminRow}. */
export const adminFields: Fields<AdminRow> = {
  id: text,
  name: text,
  roles: list(oneOf(...ADMIN_ROLES)),
  uses: list(text),
  ttlMs: count,
  certificate,
  previousCertificate: optional(certificate),
  previousUntilMs: count,
  isRevoked: flag,
  createdAtMs: count,
  createdBy: actor,
  objectVersion: count,
};

/** The fields of a {@link ReceiptRow}. */
export const receiptFields: Fields<ReceiptRow> = {
  taskId: text,
  target: text,
  secretId: text,
  version: count,
  outcome: oneOf('delivered', 'reloaded', 'failed'),
  detail: text,
  atMs: count,
  index: count,
};

/** An {@link ExposureRow}. */
export const exposureRow: Parser<ExposureRow> = fields<ExposureRow>({
  nodeId: text,
  secretId: text,
  secretName: text,
  version: count,
  firstAtMs: count,
  lastAtMs: count,
});

type Accepted = Extract<CommandResult, { ok: true }>;

/** Only what was carried out is remembered. */
const accepted: Parser<CommandResult> = fields<Accepted>({
  ok: yes,
  index: count,
  values: record((value, lenient) => {
    if (typeof value === 'string' || typeof value === 'boolean') return value;
    return count(value, lenient);
  }),
});

/** A {@link RequestRow}. */
export const requestRow: Parser<RequestRow> = fields<RequestRow>({
  key: text,
  fingerprint: text,
  result: accepted,
  index: count,
});

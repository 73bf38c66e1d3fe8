import type { AdminRole } from '@conclave/kernel';
import type { Actor } from './actor.js';
import type {
  CompromiseRow,
  FormerRootRow,
  RecoveryRow,
  RingRotationRow,
  RootRotationRow,
} from './rotation-rows.js';

export type { Actor } from './actor.js';
export type {
  CompromiseRow,
  CompromiseStep,
  EvictedNode,
  FormerRootRow,
  RecoveryRow,
  RingRotationRow,
  RootRotationRow,
  RootRow,
} from './rotation-rows.js';

/**
 * The rows of the replicated tables. Plain data: every field comes from a log entry, so that every
 * manager holds the same bytes at the same applied index.
 */

/** The cluster itself: one row. */
export interface ClusterRow {
  readonly id: string;
  readonly createdAtMs: number;
  /** Grows when a survivor of a lost quorum starts anew; starts at 1. */
  readonly epoch: number;
  /** Root certificate (DER). */
  readonly rootCertificate: Uint8Array;
  /** Its signing key (PKCS 8), sealed under the key ring. */
  readonly rootKeySealed: Uint8Array;
  /** Version of the key ring that seals it. */
  readonly rootKeyId: number;
  /** Number of the root: 1, 2, ... */
  readonly rootGeneration: number;
  /** Grows with every change of the roots that nodes have to follow, and say that they did. */
  readonly rootStep: number;
  /** Undefined: the root is not being replaced. */
  readonly rootRotation: RootRotationRow | undefined;
  /** Oldest first, each leading to the next, the last one to the root in force. */
  readonly formerRoots: readonly FormerRootRow[];
  readonly ringGeneration: number;
  /** Version of the key ring that everything new is sealed under. */
  readonly ringKeyId: number;
  /** A digest that names that version: of two rings with a version of this number one is right. */
  readonly ringCommitment: Uint8Array;
  /** When that version came into use. */
  readonly ringRotatedAtMs: number;
  /** Undefined: none is on its way. */
  readonly ringRotation: RingRotationRow | undefined;
  /** What every manager's keys open with, besides slots of its own. */
  readonly recovery: RecoveryRow;
  /** The next recovery key, until its owner has proven that it opens. */
  readonly stagedRecovery: RecoveryRow | undefined;
  /** Ids of the managers whose keys open with the staged one. */
  readonly stagedRecoveryBy: readonly string[];
  /**
   * Ids of the managers that were there when the recovery key came into force and have not said
   * since then that the one before opens nothing of theirs.
   */
  readonly oldRecoveryOn: readonly string[];
  /** Undefined: none is on its way. */
  readonly compromise: CompromiseRow | undefined;
  readonly settings: ClusterSettings;
  readonly objectVersion: number;
}

export interface ClusterSettings {
  /** Bytes, 1..8 MiB. */
  readonly secretValueBytesMax: number;
  /** Milliseconds. */
  readonly heartbeatPeriodMs: number;
  readonly certificates: CertificateSettings;
}

/** How long certificates live that are issued from now on. All in milliseconds. */
export interface CertificateSettings {
  readonly managerLifeMs: number;
  readonly workerLifeMs: number;
  /** Of an administrator whose maker names no other one. */
  readonly adminLifeMs: number;
}

export interface SecretRow {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
  /** What the name points at. */
  readonly currentVersion: number;
  /** What it pointed at before; 0: nothing. */
  readonly previousVersion: number;
  /** The highest version ever made. */
  readonly latestVersion: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Log index of the last change of this row. */
  readonly objectVersion: number;
}

/** An immutable version. `sealed` is absent once destroyed. */
export interface SecretVersionRow {
  readonly secretId: string;
  readonly version: number;
  readonly sealed: SealedValueRow | undefined;
  /** Keyed digest: equal ones of one secret mean equal values. */
  readonly digest: Uint8Array;
  readonly createdAtMs: number;
  readonly createdBy: Actor;
  readonly index: number;
}

export interface SealedValueRow {
  readonly keyId: number;
  readonly wrappedDek: Uint8Array;
  readonly envelope: Uint8Array;
  /** Bytes after padding. */
  readonly size: number;
}

/** One line of a secret's history; `revision` counts from 1 per secret. */
export interface SecretEventRow {
  readonly secretId: string;
  readonly revision: number;
  readonly what: 'set' | 'rollback' | 'destroy' | 'update';
  readonly version: number;
  readonly atMs: number;
  readonly by: Actor;
  readonly index: number;
}

export type OnChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'exec'; readonly command: string }
  | { readonly kind: 'restart' };

/** How a service uses a secret. */
export interface BindingSpec {
  /** Empty: optional, and no secret of this name exists yet. */
  readonly secretId: string;
  readonly secretName: string;
  /** Pinned version; 0: follows the pointer. */
  readonly version: number;
  readonly target: string;
  /** Absent: the user of the task. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mode: number;
  readonly onChange: OnChange;
  readonly isOptional: boolean;
}

export interface RestartSpec {
  readonly condition: 'none' | 'on-failure' | 'any';
  readonly delayMs: number;
  /** 0: no limit. */
  readonly attemptsMax: number;
  /** 0: attempts count for ever. */
  readonly windowMs: number;
}

export interface UpdateSpec {
  readonly parallelism: number;
  readonly delayMs: number;
  readonly order: 'stop-first' | 'start-first';
  readonly failureAction: 'pause' | 'continue' | 'rollback';
}

/** A whole, checked service spec; every default filled in. */
export interface ServiceSpec {
  readonly name: string;
  readonly runtime: 'process' | 'container';
  readonly command: readonly string[];
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly user: string;
  readonly mode: 'replicated' | 'global';
  readonly replicas: number;
  readonly replicasPerNodeMax: number;
  readonly bindings: readonly BindingSpec[];
  readonly constraints: readonly string[];
  readonly restart: RestartSpec;
  readonly update: UpdateSpec;
  readonly stopSignal: string;
  readonly stopGraceMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ServiceRow {
  readonly id: string;
  readonly spec: ServiceSpec;
  /** The spec before the last update, for rollback. */
  readonly previousSpec: ServiceSpec | undefined;
  /** Grows with every change that tasks must follow (not with the number of replicas). */
  readonly specVersion: number;
  readonly updateState: '' | 'updating' | 'paused' | 'completed' | 'rolled-back';
  readonly updateMessage: string;
  /** Removed by its owner; the row goes when its last task has stopped. */
  readonly isRemoving: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly objectVersion: number;
}

/** Only forward, in this order; the last six are ends. */
export const TASK_STATES = [
  'NEW',
  'PENDING',
  'ASSIGNED',
  'ACCEPTED',
  'PREPARING',
  'STARTING',
  'RUNNING',
  'COMPLETE',
  'SHUTDOWN',
  'FAILED',
  'REJECTED',
  'REMOVE',
  'ORPHANED',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export interface TaskRow {
  readonly id: string;
  readonly serviceId: string;
  readonly serviceName: string;
  /** 1-based; 0 for tasks of a global service. */
  readonly slot: number;
  /** Empty until ASSIGNED; set at creation for a global service. */
  readonly nodeId: string;
  readonly specVersion: number;
  readonly spec: ServiceSpec;
  readonly desiredState: 'RUNNING' | 'SHUTDOWN' | 'REMOVE';
  readonly state: TaskState;
  /** For people: what it waits for or how it ended. */
  readonly message: string;
  readonly error: string;
  readonly exitCode: number | undefined;
  /** Not to be assigned before this time (restart delay). */
  readonly notBeforeMs: number;
  readonly createdAtMs: number;
  readonly stateAtMs: number;
  readonly objectVersion: number;
}

export interface NodeRow {
  readonly id: string;
  readonly hostname: string;
  /** In effect: what the node may do. */
  readonly role: 'manager' | 'worker';
  /** What an operator has decided it to be; the node and the leader work towards it. */
  readonly wantedRole: 'manager' | 'worker';
  readonly state: 'UNKNOWN' | 'READY' | 'DOWN';
  readonly stateAtMs: number;
  readonly message: string;
  readonly availability: 'active' | 'pause' | 'drain';
  readonly labels: Readonly<Record<string, string>>;
  readonly platformOs: string;
  readonly daemonVersion: string;
  readonly executors: readonly string[];
  readonly certificate: CertificateRow;
  /** The one before, valid until `previousUntilMs` after a renewal. */
  readonly previousCertificate: CertificateRow | undefined;
  readonly previousUntilMs: number;
  readonly manager: ManagerRow | undefined;
  /** Step of the roots of the cluster that it said it has taken. */
  readonly rootStep: number;
  /**
   * What the node is to be once an administrator has approved it; until then it may call nothing.
   * Undefined: it was approved, or its token asked for no approval.
   */
  readonly waiting: { readonly manager: ManagerRow | undefined } | undefined;
  /** Identity of the live session; empty: none. */
  readonly sessionId: string;
  readonly sessionCount: number;
  readonly tokenId: string;
  readonly createdAtMs: number;
  readonly objectVersion: number;
}

export interface CertificateRow {
  /** Lower-case hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the public key info, lower-case hex. */
  readonly publicKeyHash: string;
  /** Number of the root that issued it. */
  readonly root: number;
}

export interface ManagerRow {
  readonly raftId: number;
  readonly clusterAddress: string;
  readonly joinAddress: string;
  readonly staticPublicKey: Uint8Array;
  readonly signingPublicKey: Uint8Array;
  /** joining: not in the configuration yet; removing: on its way out. */
  readonly membership: 'joining' | 'learner' | 'voter' | 'removing';
  /** Generation of the ring that it said it holds; 0: none. */
  readonly ringGeneration: number;
}

/** An administrator who comes over the network with a certificate of its own. */
export interface AdminRow {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly AdminRole[];
  /** Which secrets it may give to services: names, `name/*`, `*`. The role admin needs none. */
  readonly uses: readonly string[];
  /** Milliseconds that each of its certificates lives. */
  readonly ttlMs: number;
  readonly certificate: CertificateRow;
  /** The one before, valid until `previousUntilMs` after a renewal. */
  readonly previousCertificate: CertificateRow | undefined;
  readonly previousUntilMs: number;
  readonly isRevoked: boolean;
  readonly createdAtMs: number;
  readonly createdBy: Actor;
  readonly objectVersion: number;
}

export interface TokenRow {
  /** Lower-case base32 of 8 bytes. */
  readonly id: string;
  readonly role: 'manager' | 'worker';
  readonly publicKey: Uint8Array;
  readonly expiresAtMs: number;
  readonly usesLeft: number;
  /** Who joins with it waits until an administrator approves it. */
  readonly needsApproval: boolean;
  /** Addresses and CIDR ranges from which hosts may join; none: any. */
  readonly addressRanges: readonly string[];
  /** What their host names must be like, `*` for any letters; empty: any. */
  readonly hostnamePattern: string;
  readonly isRevoked: boolean;
  readonly admittedNodes: readonly string[];
  readonly createdAtMs: number;
  readonly createdBy: Actor;
  readonly objectVersion: number;
}

/** Newest report about one binding of one task. */
export interface ReceiptRow {
  readonly taskId: string;
  readonly target: string;
  readonly secretId: string;
  readonly version: number;
  readonly outcome: 'delivered' | 'reloaded' | 'failed';
  readonly detail: string;
  readonly atMs: number;
  readonly index: number;
}

/** A secret version that a node was given a right to, from the entry that assigned it. */
export interface ExposureRow {
  readonly nodeId: string;
  readonly secretId: string;
  readonly secretName: string;
  readonly version: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** What an idempotency key was answered with. */
export interface RequestRow {
  readonly key: string;
  /** Hash of what was asked, so that a reuse for something else is noticed. */
  readonly fingerprint: string;
  readonly result: CommandResult;
  readonly index: number;
}

export type CommandResult =
  | {
      readonly ok: true;
      readonly index: number;
      /** Ids and numbers that the answer needs: `id`, `version`, `unchanged`, ... */
      readonly values: Readonly<Record<string, string | number | boolean>>;
    }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly details: Readonly<Record<string, string | number | boolean | readonly string[]>>;
    };

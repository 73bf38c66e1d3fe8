import type { Index, NodeId, Term } from './numbers.js';

/** Role of a node. */
export type StateType = 'StateFollower' | 'StateCandidate' | 'StateLeader' | 'StatePreCandidate';

/** What an entry carries: a command of the application or a change of the configuration. */
export type EntryType = 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2';

/** A place in the log together with the term of the entry there. */
export interface EntryId {
  readonly term: Term;
  readonly index: Index;
}

/**
 * One entry of the log.
 *
 * `data` is empty for the entry a new leader starts with and for a refused change of the
 * configuration. The bytes are never copied; nobody may modify them.
 */
export interface Entry extends EntryId {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** What a node must remember across restarts besides its log; `commit <= lastIndex`. */
export interface HardState {
  readonly term: Term;
  /** Who got this node's vote in `term`; 0: nobody yet. */
  readonly vote: NodeId;
  readonly commit: Index;
}

/** What is worth showing but need not be stored. */
export interface SoftState {
  /** The leader as far as this node knows; 0: unknown. */
  readonly lead: NodeId;
  readonly raftState: StateType;
}

/** A configuration as it is stored in snapshots; every list is sorted and without repetitions. */
export interface ConfState {
  readonly voters: readonly NodeId[];
  /** Voters of the majority that is being left; nonempty exactly in a joint configuration. */
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** Whether the leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** Where a snapshot was taken and with which configuration. */
export interface SnapshotMetadata extends EntryId {
  readonly confState: ConfState;
}

/** State of the application up to `metadata.index`, opaque to this library. */
export interface Snapshot {
  readonly data: Uint8Array;
  readonly metadata: SnapshotMetadata;
}

/**
 * The answer to `readIndex`: the read may be served once the applied index reached `index`.
 *
 * It is lost when the leader changes. A `requestCtx` must not be used for a second attempt.
 */
export interface ReadState {
  readonly index: Index;
  readonly requestCtx: Uint8Array;
}

/** What a single change does with a node. */
export type ConfChangeType =
  | 'ConfChangeAddNode'
  | 'ConfChangeRemoveNode'
  | 'ConfChangeUpdateNode'
  | 'ConfChangeAddLearnerNode';

/** One step of a change of the configuration. */
export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly nodeId: NodeId;
}

/** How a change with several steps passes through a joint configuration. */
export type ConfChangeTransition = 'auto' | 'jointImplicit' | 'jointExplicit';

/** A change with exactly one step, in the older of the two forms. */
export interface ConfChangeV1 {
  readonly version: 1;
  readonly change: ConfChangeSingle;
  readonly context?: Uint8Array;
}

/** A change with any number of steps; without steps and with `auto` it leaves a joint state. */
export interface ConfChangeV2 {
  readonly version: 2;
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context?: Uint8Array;
}

/** A change of the configuration as an application proposes and applies it. */
export type ConfChange = ConfChangeV1 | ConfChangeV2;

// Stays in the declarations: whoever compiles against them may have an older set of libraries.
/// <reference lib="esnext.disposable" preserve="true" />
import type {
  Bytes,
  ConfChange,
  ConfState,
  Entry,
  HardState,
  Index,
  NetworkMessage,
  NodeId,
  ProposalDroppedReason,
  Snapshot,
  StateType,
  Term,
} from '../index.js';

/**
 * One atomic write: after a crash all of it is there or nothing of it.
 *
 * The order of effects is `snapshot`, `entries`, `ownSnapshot`, `hardState`, `appliedIndex`.
 */
export interface LogBatch {
  /**
   * Entries with contiguous indexes, possibly none. The store first discards every stored entry
   * with an index >= the first one; an entry that stays behind would be read back as committed.
   */
  readonly entries: readonly Entry[];
  /** Replaces the stored one. Absent: unchanged. */
  readonly hardState?: HardState;
  /**
   * A snapshot received from a leader: the store discards its snapshot and all its entries, also
   * those after the index of the snapshot.
   */
  readonly snapshot?: Snapshot;
  /**
   * A snapshot this member took of itself: it replaces the stored snapshot, all entries stay until
   * `compact`. Its index is never before the stored snapshot's.
   */
  readonly ownSnapshot?: Snapshot;
  /** How far the state machine was when the batch was put together. Absent: unchanged. */
  readonly appliedIndex?: Index;
}

/** What a store holds when a member starts. */
export interface LoadedLog {
  /** Undefined: never written. */
  readonly hardState: HardState | undefined;
  /** The newest snapshot, received or own. */
  readonly snapshot: Snapshot | undefined;
  /** Contiguous; may begin before the snapshot, ends with the last entry ever written and kept. */
  readonly entries: readonly Entry[];
  /** The last `appliedIndex` written; at most `hardState.commit`. Default: unknown. */
  readonly appliedIndex?: Index;
}

/**
 * The durable log of one member.
 *
 * The driver never has two writes open at the same time, and calls `load` once, first. `compact`
 * may run while a write is open; it concerns entries no write touches. Any rejection is final: the
 * driver stops the member and never calls the store again, because after a failed sync nobody
 * knows what is on disk and a second try would succeed falsely. Implementations must pass
 * `LOG_STORE_CONTRACT` of `raft-ts/testing`. The host opens and closes the store.
 */
export interface LogStore {
  /** Reads everything back. Rejects when stored data is damaged. */
  load(): Promise<LoadedLog>;
  /**
   * Writes one batch. With `sync` it resolves when this batch and all earlier ones survive a loss
   * of power. Without, it may resolve earlier, and the batch may be lost, but only together with
   * all batches after it.
   */
  write(batch: LogBatch, options: WriteOptions): Promise<void>;
  /**
   * Discards the entries up to and including `index`, which is never after the stored snapshot.
   * Needs no sync of its own. Discarding what is already gone does nothing.
   */
  compact(index: Index): Promise<void>;
}

/** How durable a write must be when it resolves. */
export interface WriteOptions {
  /** False: only the commit index changed, and losing it is harmless. */
  readonly sync: boolean;
}

/** What a state machine hands out when it is asked for a snapshot. */
export interface StateSnapshot {
  /**
   * Small and opaque: usually only a name under which the host finds the state itself, at most
   * `NodeLimits.snapshotDescriptorSizeMax` bytes. It travels in MsgSnap and is kept in the log
   * store and in memory.
   */
  readonly data: Uint8Array;
  /** Index of the last entry the captured state contains. */
  readonly index: Index;
}

/**
 * The replicated application.
 *
 * Calls never overlap, except that `apply` goes on while a promise of `snapshot` is open. Any
 * rejection is final for the member: a state machine that failed once may have diverged. What
 * makes a command invalid must be a returned value, never an exception.
 *
 * The state itself is not carried by Raft messages. A snapshot is a small descriptor; the host of
 * the sender streams the state in chunks of its own next to the MsgSnap, and the host of the
 * receiver gives the MsgSnap to `Node.receive` only after the last chunk has arrived and is durable
 * there, see `Transport.send`.
 */
export interface StateMachine {
  /**
   * Applies committed commands in order and returns one result for each.
   *
   * Only commands that were proposed are handed in, with the bytes that were proposed; entries
   * Raft needs for itself are left out, so that indexes have gaps. After a restart everything
   * after the last snapshot is applied again.
   */
  apply(entries: readonly Entry[]): Promise<readonly unknown[]>;
  /**
   * Captures the state as it is at the time of the call, before the next `apply`; writing it out
   * may take as long as it needs. The descriptor must stay resolvable until a later snapshot was
   * stored and no transfer of this one is going on.
   */
  snapshot(): Promise<StateSnapshot>;
  /**
   * Replaces the whole state. Called at start with the stored snapshot, and whenever a leader sent
   * one; `snapshot.data` is the descriptor the state machine that took it returned.
   */
  restore(snapshot: Snapshot): Promise<void>;
}

/** Sends messages to other members, best effort. */
export interface Transport {
  /**
   * Takes messages over and returns at once. It may drop, delay, duplicate and reorder them, and
   * must neither throw nor call the node back before it returned.
   *
   * After each MsgSnap the host must call `Node.reportSnapshot` exactly once: 'finish' when the
   * chunks and the message were accepted by the receiver, 'failure' in every other case, also when
   * the connection or the receiver broke down. Without a report the receiver gets nothing more.
   */
  send(messages: readonly NetworkMessage[]): void;
}

/** Time as the driver sees it. */
export interface Clock {
  /** Milliseconds since any fixed moment; never goes back. */
  now(): number;
  /** Calls `f` about every `ms` milliseconds until disposed. */
  setInterval(f: () => void, ms: number): Disposable;
}

/** The part of `AbortSignal` the driver uses; every `AbortSignal` is one. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Options of calls that wait. */
export interface CallOptions {
  /** Ends the waiting, not the operation itself. */
  readonly signal?: CancelSignal;
}

/**
 * Why a proposal is certainly not in the log, and never will be.
 *
 * Besides the reasons of the core: `tooLarge` and `tooManyPending` are limits of this member,
 * `refused` is a configuration change the leader does not allow now, `superseded` means that
 * another entry was committed in its place, `aborted` and `stopped` that it was not handed to the
 * core any more.
 */
export type RejectReason =
  | ProposalDroppedReason
  | 'tooLarge'
  | 'tooManyPending'
  | 'refused'
  | 'superseded'
  | 'aborted'
  | 'stopped';

/** Why nobody knows yet whether a proposal will be applied. */
export type UnknownReason = 'leadershipLost' | 'aborted' | 'stopped';

/**
 * What became of a proposal.
 *
 * `applied`: it is committed and this member has applied it. `rejected`: it never takes effect, so
 * that proposing it again is safe. `unknown`: it may still take effect, at any later time or
 * never; proposing it again is safe only if it is idempotent.
 */
export type ProposalResult =
  | { readonly outcome: 'applied'; readonly index: Index; readonly value: unknown }
  | { readonly outcome: 'rejected'; readonly reason: RejectReason }
  | { readonly outcome: 'unknown'; readonly reason: UnknownReason };

/** Role of this member, and whom it takes for the leader. */
export interface RoleChange {
  readonly role: StateType;
  /** 0: unknown. */
  readonly leader: NodeId;
  readonly term: Term;
}

/** A configuration that took effect on this member. */
export interface ConfChangeEvent {
  /** The entry that carried the change, or the index of a snapshot that replaced everything. */
  readonly index: Index;
  readonly term: Term;
  /** Undefined: the configuration came with a snapshot. */
  readonly change: ConfChange | undefined;
  readonly confState: ConfState;
}

/** A voter of a new cluster. */
export interface BootstrapPeer {
  readonly id: NodeId;
  /** Handed to `onConfChange` as the context of the change that adds this member. */
  readonly context?: Uint8Array;
}

/** Work that is open, for health checks and metrics. */
export interface DriverStatus {
  /** Last index the state machine has taken in. */
  readonly applied: Index;
  readonly proposalsPending: number;
  readonly readsPending: number;
  readonly appendQueueLength: number;
  readonly appendQueueSize: Bytes;
  /** Milliseconds since the oldest unfinished log write was queued; 0: none. */
  readonly oldestWriteAgeMs: number;
  /** Index of the last snapshot stored; 0: none. */
  readonly snapshotIndex: Index;
}

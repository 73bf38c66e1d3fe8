import type { Bytes, Index, NodeId, Ticks } from './numbers.js';
import type { Storage } from './storage.js';
import type { TraceEvent } from './trace.js';

/** Severity of a log line; FATAL precedes a RaftInvariantError. */
export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL';

/** Receiver of log lines. Must not call the node. */
export interface Logger {
  /** Checked before a message is put together. */
  enabled(level: LogLevel): boolean;
  /** @param message one line without level and line end; never contains payloads of entries */
  log(level: LogLevel, message: string): void;
}

/** How reads are confirmed, see `Config.readOnlyOption`. */
export type ReadOnlyOption = 'safe' | 'leaseBased';

/** Everything a node is made of. */
export interface Config {
  /** Identity of this node, 1..MAX_NODE_ID. Never reused, also not after a removal. */
  readonly id: NodeId;
  /** The stored log. Only the host writes it. */
  readonly storage: Storage;
  /**
   * Ticks without a leader before an election starts. The actual timeout is drawn from
   * [electionTick, 2 * electionTick - 1] at each role change; leases, CheckQuorum and transfers
   * use electionTick itself. Greater than heartbeatTick, usually 10 times as much.
   */
  readonly electionTick: Ticks;
  /** Ticks between heartbeats of a leader, at least 1. */
  readonly heartbeatTick: Ticks;
  /** Unacknowledged appends per follower, at least 1; bounds the memory of the transport. */
  readonly maxInflightMsgs: number;
  /**
   * Last index the application has applied; only on restart, default 0. Entries up to it are not
   * handed out again. Must not exceed the stored commit index.
   */
  readonly applied?: Index;
  /**
   * Limit for the entries of one MsgApp by encoded size, default Infinity. It is soft: one entry is
   * always sent. 0 means exactly one entry per message.
   */
  readonly maxSizePerMsg?: Bytes;
  /**
   * Quota for committed entries by encoded size across all Readys that are not acknowledged yet,
   * default `maxSizePerMsg`. One entry always passes. 0 would stall, hence is an error.
   */
  readonly maxCommittedSizePerReady?: Bytes;
  /**
   * Limit for payloads in the uncommitted tail of a leader, default Infinity. Only payloads count,
   * empty entries always pass, an empty tail admits any size, and after a change of leadership the
   * count starts again at 0 and is an estimate.
   */
  readonly maxUncommittedEntriesSize?: Bytes;
  /** Limit for unacknowledged payloads per follower, default Infinity; >= maxSizePerMsg. */
  readonly maxInflightBytes?: Bytes;
  /** Whether storage work is handed out as messages, see `Ready`. Default false. */
  readonly asyncStorageWrites?: boolean;
  /**
   * Whether a leader steps down after one to two election timeouts without contact to a quorum, and
   * followers ignore vote requests while they hear of their leader, except by transfer.
   */
  readonly checkQuorum?: boolean;
  /**
   * Whether candidates ask first if they would win. That a leader was heard of counts only together
   * with `checkQuorum`. No effect on transfers.
   */
  readonly preVote?: boolean;
  /**
   * 'safe' (default) asks a quorum for each batch of reads. 'leaseBased' trusts that clocks of all
   * nodes run at about the same speed; it needs `checkQuorum`. A paused process breaks that trust,
   * so that stale data may be read: wrong for secrets.
   */
  readonly readOnlyOption?: ReadOnlyOption;
  /** Whether followers refuse proposals instead of sending them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** Whether a leader accepts changes it would refuse; only for hosts that check themselves. */
  readonly disableConfChangeValidation?: boolean;
  /**
   * Whether a leader that is removed or demoted becomes a follower. Otherwise it stays leader, sends
   * heartbeats and refuses proposals until somebody else is elected.
   */
  readonly stepDownOnRemoval?: boolean;
  /**
   * Whether vote requests wait for the storage write they are handed out with, default true. Sent
   * earlier they may claim a term, a vote and a log that a crash takes back, and a committed entry
   * can be lost. Off only for comparisons with etcd/raft.
   */
  readonly deferVoteRequests?: boolean;
  /**
   * Whether the only voter answers reads like any leader, default true: not before it has committed
   * in its own term. Answered earlier they may miss what was acknowledged before a crash that took
   * its commit index back. Off only for comparisons with etcd/raft.
   */
  readonly deferSoleVoterReads?: boolean;
  /** Default: no lines. */
  readonly logger?: Logger;
  /** Uniform integer in [0, n); must be repeatable in simulations. */
  readonly random: (n: number) => number;
  /** Called at every transition, for checkers. Must not call the node. */
  readonly trace?: (event: TraceEvent) => void;
}

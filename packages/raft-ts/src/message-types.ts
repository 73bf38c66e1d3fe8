import type { Index, NodeId, Term } from './numbers.js';
import type { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from './numbers.js';
import type { Entry, Snapshot } from './types.js';

/** Fields of every message. Which of them mean something depends on the type. */
export interface MessageBase {
  readonly from: NodeId;
  readonly to: NodeId;
  /** 0: not bound to a term; only MsgProp, MsgReadIndex and local messages may have that. */
  readonly term: Term;
  readonly logTerm: Term;
  readonly index: Index;
  readonly entries: readonly Entry[];
  readonly commit: Index;
  readonly vote: NodeId;
  readonly snapshot: Snapshot | undefined;
  readonly reject: boolean;
  readonly rejectHint: Index;
  /** Empty: none. */
  readonly context: Uint8Array;
  /**
   * Of storage messages: to be delivered, all of them and in this order, after the work is done.
   * Those to this node itself go through `step`, the others to the network.
   */
  readonly responses: readonly Message[];
}

/** Local: start an election. */
export interface MsgHup extends MessageBase {
  readonly type: 'MsgHup';
}
/** Local: send heartbeats. */
export interface MsgBeat extends MessageBase {
  readonly type: 'MsgBeat';
}
/** Entries to append; a follower forwards it to its leader. */
export interface MsgProp extends MessageBase {
  readonly type: 'MsgProp';
}
/** Entries from the leader, with the commit index and the entry before them. */
export interface MsgApp extends MessageBase {
  readonly type: 'MsgApp';
}
/** Answer to MsgApp and MsgSnap: the last index that agrees, or a hint where logs may agree. */
export interface MsgAppResp extends MessageBase {
  readonly type: 'MsgAppResp';
}
/** Asks for a vote. */
export interface MsgVote extends MessageBase {
  readonly type: 'MsgVote';
}
/** Grants or refuses a vote. */
export interface MsgVoteResp extends MessageBase {
  readonly type: 'MsgVoteResp';
}
/** A snapshot for a follower whose next entry is compacted; its fate must be reported. */
export interface MsgSnap extends MessageBase {
  readonly type: 'MsgSnap';
  readonly snapshot: Snapshot;
}
/** Sign of life of the leader; carries what the follower may commit. */
export interface MsgHeartbeat extends MessageBase {
  readonly type: 'MsgHeartbeat';
}
/** Answer to MsgHeartbeat. */
export interface MsgHeartbeatResp extends MessageBase {
  readonly type: 'MsgHeartbeatResp';
}
/** Local: a message to `from` was not delivered. */
export interface MsgUnreachable extends MessageBase {
  readonly type: 'MsgUnreachable';
}
/** Local: what became of the snapshot for `from`. */
export interface MsgSnapStatus extends MessageBase {
  readonly type: 'MsgSnapStatus';
}
/** Local: check that a quorum was heard of. */
export interface MsgCheckQuorum extends MessageBase {
  readonly type: 'MsgCheckQuorum';
}
/** Asks for a leadership transfer to `from`. */
export interface MsgTransferLeader extends MessageBase {
  readonly type: 'MsgTransferLeader';
}
/** Tells the target of a transfer to campaign at once. */
export interface MsgTimeoutNow extends MessageBase {
  readonly type: 'MsgTimeoutNow';
}
/** Asks the leader for an index that is safe to read at. */
export interface MsgReadIndex extends MessageBase {
  readonly type: 'MsgReadIndex';
}
/** Answer to MsgReadIndex. */
export interface MsgReadIndexResp extends MessageBase {
  readonly type: 'MsgReadIndexResp';
}
/** Asks whether a vote would be granted. */
export interface MsgPreVote extends MessageBase {
  readonly type: 'MsgPreVote';
}
/** Answer to MsgPreVote. */
export interface MsgPreVoteResp extends MessageBase {
  readonly type: 'MsgPreVoteResp';
}
/** Local: write hard state, snapshot and entries, then deliver the responses. */
export interface MsgStorageAppend extends MessageBase {
  readonly type: 'MsgStorageAppend';
  readonly to: typeof LOCAL_APPEND_THREAD;
}
/** Local: a write is durable. */
export interface MsgStorageAppendResp extends MessageBase {
  readonly type: 'MsgStorageAppendResp';
}
/** Local: apply entries, then deliver the responses. */
export interface MsgStorageApply extends MessageBase {
  readonly type: 'MsgStorageApply';
  readonly to: typeof LOCAL_APPLY_THREAD;
}
/** Local: entries are applied. */
export interface MsgStorageApplyResp extends MessageBase {
  readonly type: 'MsgStorageApplyResp';
}
/** Makes a follower forget its leader; made by `forgetLeader`, and sent by nobody. */
export interface MsgForgetLeader extends MessageBase {
  readonly type: 'MsgForgetLeader';
}

/** Messages that never leave the node. */
export type LocalMessage =
  | MsgHup
  | MsgBeat
  | MsgUnreachable
  | MsgSnapStatus
  | MsgCheckQuorum
  | MsgStorageAppend
  | MsgStorageAppendResp
  | MsgStorageApply
  | MsgStorageApplyResp;

/** Messages a transport carries. */
export type NetworkMessage =
  | MsgProp
  | MsgApp
  | MsgAppResp
  | MsgVote
  | MsgVoteResp
  | MsgSnap
  | MsgHeartbeat
  | MsgHeartbeatResp
  | MsgTransferLeader
  | MsgTimeoutNow
  | MsgReadIndex
  | MsgReadIndexResp
  | MsgPreVote
  | MsgPreVoteResp
  | MsgForgetLeader;

/** Every message; `type` is the discriminant. */
export type Message = NetworkMessage | LocalMessage;

/** Name of a message type. */
export type MessageType = Message['type'];

import type { Message } from './message-types.js';
import type { Index, NodeId, Term } from './numbers.js';
import type { Ready } from './ready-types.js';
import type { ConfState, Entry, StateType } from './types.js';

/** The node took a role (also the same one again) in a term. */
export interface TraceRole {
  readonly kind: 'role';
  readonly id: NodeId;
  readonly term: Term;
  readonly role: StateType;
  readonly lead: NodeId;
  readonly vote: NodeId;
}

/** The commit index grew to `index`. */
export interface TraceCommit {
  readonly kind: 'commit';
  readonly id: NodeId;
  readonly term: Term;
  readonly index: Index;
}

/** Entries were put into the log, replacing everything from the first of them on. */
export interface TraceAppend {
  readonly kind: 'append';
  readonly id: NodeId;
  readonly term: Term;
  readonly entries: readonly Entry[];
}

/** A configuration took effect. */
export interface TraceConfig {
  readonly kind: 'config';
  readonly id: NodeId;
  readonly confState: ConfState;
}

/** A message was put into the next Ready. */
export interface TraceSend {
  readonly kind: 'send';
  readonly id: NodeId;
  readonly message: Message;
}

/** A message is about to be handled. */
export interface TraceReceive {
  readonly kind: 'receive';
  readonly id: NodeId;
  readonly message: Message;
}

/** A Ready was handed out and accepted. */
export interface TraceReady {
  readonly kind: 'ready';
  readonly id: NodeId;
  readonly ready: Ready;
}

/** A transition inside a node, in the order in which they happen. */
export type TraceEvent =
  TraceRole | TraceCommit | TraceAppend | TraceConfig | TraceSend | TraceReceive | TraceReady;

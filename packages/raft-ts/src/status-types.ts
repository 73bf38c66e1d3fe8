import type { Bytes, Index, NodeId } from './numbers.js';
import type { HardState, SoftState } from './types.js';

/** What a node knows about itself. */
export interface BasicStatus extends HardState, SoftState {
  readonly id: NodeId;
  readonly applied: Index;
  /** Target of the transfer that is going on; 0: none. */
  readonly leadTransferee: NodeId;
}

/** The configuration in effect. */
export interface TrackerConfig {
  /** Incoming and outgoing majority; the outgoing one is empty unless the state is joint. */
  readonly voters: readonly [ReadonlySet<NodeId>, ReadonlySet<NodeId>];
  readonly learners: ReadonlySet<NodeId>;
  readonly learnersNext: ReadonlySet<NodeId>;
  readonly autoLeave: boolean;
}

/** How a leader sends to a follower: one probe at a time, pipelined, or waiting for a snapshot. */
export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot';

/** Unacknowledged appends of a follower. */
export interface InflightsView {
  readonly count: number;
  readonly bytes: Bytes;
  readonly full: boolean;
}

/** What a leader knows about a follower; `match < next`. */
export interface ProgressView {
  readonly match: Index;
  readonly next: Index;
  readonly state: ProgressState;
  readonly pendingSnapshot: Index;
  readonly recentActive: boolean;
  /** Whether nothing is sent to it until it answers. */
  readonly paused: boolean;
  readonly isLearner: boolean;
  readonly inflights: InflightsView;
}

/** A copy of the state of a node; it does not change later. */
export interface Status extends BasicStatus {
  readonly config: TrackerConfig;
  /** Empty unless leader. */
  readonly progress: ReadonlyMap<NodeId, ProgressView>;
}

import type { RaftCore } from '../core.js';
import type { Message } from '../message-types.js';
import type { Index, NodeId, Term } from '../numbers.js';
import type { RawNode } from '../raw-node.js';
import type { ConfState, HardState, StateType } from '../types.js';
import type { SimStateMachine } from './machine.js';
import type { DiskFault } from './parameters.js';
import type { Micros } from './scheduler.js';

/** What a member has on its disk and would find there after a crash now. */
export interface DurableLog {
  readonly hardState: HardState;
  readonly storage: { firstIndex(): Index; lastIndex(): Index };
  /** Term of the durable entry at an index; undefined if there is none, or it is compacted. */
  term(index: Index): Term | undefined;
}

/** What clients, faults and an operator may ask a member for. */
export type SubjectNode = Pick<
  RawNode,
  | 'campaign'
  | 'forgetLeader'
  | 'propose'
  | 'proposeConfChange'
  | 'readIndex'
  | 'reportSnapshot'
  | 'reportUnreachable'
  | 'transferLeader'
>;

/** Learns what became of a proposal. */
export interface ProposalWatcher {
  /** It never takes effect. */
  refused(): void;
  /** It took effect; only from members with `answersProposals`. */
  applied(result: number): void;
}

/** A member as checks, clients and faults see it, in either mode. */
export interface Subject {
  readonly id: NodeId;
  /** Of the present or the last life. */
  readonly core: RaftCore;
  readonly disk: DurableLog;
  readonly machine: SimStateMachine;
  /** Counts starts and ends; events of earlier lives are void. */
  readonly life: number;
  readonly isUp: boolean;
  /** Whether it was shut down for good. */
  isRetired: boolean;
  /** Whether its disk is gone: it never comes back under this id. */
  readonly isLost: boolean;
  pausedUntil: Micros;
  /** The disk does nothing before this time. */
  stalledUntil: Micros;
  /** Time between two ticks of its clock. */
  tickMicros: Micros;
  crashPoint: number;
  /** How long it stays away after the next crash. */
  downMicros: Micros;
  /** Last index the state machine has taken in, and the configuration there. */
  readonly applied: Index;
  readonly confState: ConfState;
  /** Whether it tells by itself what became of a proposal; if not, applying it is the answer. */
  readonly answersProposals: boolean;

  /** What the checker saw last. */
  seenRole: StateType;
  seenTerm: Term;
  seenCommit: Index;

  /** Starts from what is durable. */
  start(): void;
  /** Dies: everything in memory is gone, unsynced writes perhaps. */
  crash(): void;
  /** Handles a message from the network. @returns whether it was taken for certain, not refused */
  receive(message: Message): boolean;
  /** Asks for something, as a host does. */
  call(work: (node: SubjectNode) => void): 'accepted' | 'dropped';
  /** Proposes a command of a client. */
  propose(data: Uint8Array, watcher: ProposalWatcher): void;
  /** Takes a snapshot, or not, and discards a part of the log. @returns false: it cannot be told to */
  compact(y: number, z: number): boolean;
  /** Does something to the disk. @returns false if this disk cannot have such a fault */
  harmDisk(fault: DiskFault, until: Micros): boolean;

  /** A tick of its clock is due. */
  tick(): void;
  /** The disk has finished something; `what` is for the member to know. */
  written(what: number): void;
  /** The oldest answer of the storage reaches its node; only where answers can be late. */
  answered?(): void;
  /** The state machine has time for the oldest piece of work. */
  applyNext(): void;
  /** It is time to take the next Ready. */
  handleReady(): void;
}

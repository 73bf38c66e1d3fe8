import type { Logger } from '../config.js';
import type { ReadState, Entry } from '../types.js';
import type { Checker } from './checks/checker.js';
import type { Coverage } from './coverage.js';
import type { SimStateMachine } from './machine.js';
import type { SimNetwork } from './network.js';
import type { SimParameters } from './parameters.js';
import type { Scheduler } from './scheduler.js';
import type { ScriptJournal } from './script/journal.js';
import type { Subject } from './subject.js';

/** What members, clients and faults share. */
export interface World {
  readonly seed: number;
  readonly parameters: SimParameters;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly checker: Checker;
  readonly coverage: Coverage;
  readonly logger: Logger | undefined;
  /** Writes down what is done to the nodes; only in bare mode, and slow. */
  readonly journal: ScriptJournal | undefined;
  /** All that ever existed, by id. */
  readonly members: readonly (Subject | undefined)[];
  /** Whether the faults have ended. */
  readonly isCalm: boolean;
  /** A fresh state machine. */
  createMachine(): SimStateMachine;

  /** Puts what the present event does into words, for people. */
  explain(text: () => string): void;
  /** A member has applied an entry. */
  applied(member: Subject, entry: Entry, result: number): void;
  /** The applied index of a member has grown. */
  progressed(member: Subject): void;
  /** A member may serve reads. */
  readable(member: Subject, states: readonly ReadState[]): void;
  /** A member has died. */
  crashed(member: Subject): void;
}

import { ConclaveError, toConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random, TimerHandle, Timers } from '@conclave/kernel';
import type { Medium, TaskFiles } from '@conclave/memfs';
import type { RecipientAlgorithm } from '@conclave/sealed';
import type { Roots } from '@conclave/wire';

import type { Assignment, Position } from './assignment/assembler.js';
import type { Executor, LogsOptions, OutputPiece } from './executors/executor.js';
import { MEDIUM_CHECK_MS, STARTS_AT_ONCE_MAX } from './limits.js';
import type { ManagerDialer } from './session/connection.js';
import { LogService } from './session/log-service.js';
import { ManagerBook } from './session/manager-book.js';
import type { ManagerPlace } from './session/manager-book.js';
import { SessionLoop } from './session/session-loop.js';
import type { Standing } from './session/session-loop.js';
import type { NodeDescription, SessionContext } from './session/session.js';
import { HeldValues } from './tasks/held-values.js';
import { Reconciler } from './tasks/reconciler.js';
import { ReportOutbox } from './tasks/report-outbox.js';
import { Slots } from './tasks/slots.js';
import type { TaskRecord, TaskRecords } from './tasks/task-record.js';

/** What an {@link Agent} is made of. Nothing is taken from the environment. */
export interface AgentOptions {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Identifies this start of the host. */
  readonly bootId: string;
  readonly description: NodeDescription;
  readonly dialer: ManagerDialer;
  /** The managers that are known from the join or an earlier session. */
  readonly managers: readonly ManagerPlace[];
  /** Called with each new list, to be kept for the next start. */
  readonly saveManagers: (managers: readonly ManagerPlace[]) => void;
  /** Called once most managers say that this node was removed; its tasks are being ended then. */
  readonly onRemoved?: () => void;
  /** Called with the roots that each session says are to be trusted. */
  readonly onRoots?: (roots: Roots) => void;
  /** Called with what each session says that this node is to be: `manager` or `worker`. */
  readonly onWantedRole?: (role: string) => void;
  /** Called with the milliseconds that certificates of workers are given now; 0: unknown. */
  readonly onCertificateLife?: (lifeMs: number) => void;
  /** How the keys of sessions are agreed on; default: the hybrid algorithm. */
  readonly algorithm?: RecipientAlgorithm | undefined;
  readonly files: TaskFiles;
  /** By runtime. */
  readonly executors: readonly Executor[];
  readonly records: TaskRecords;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** What an agent says of itself. */
export interface AgentStatus {
  /** The manager of the session; empty: none is open. */
  readonly managerId: string;
  readonly standing: Standing;
  readonly position: Position;
  readonly tasks: readonly TaskRecord[];
  readonly heldVersionCount: number;
  readonly waitingReportCount: number;
  readonly medium: Medium;
  /** False when swap was turned on under values that rest in a swappable file system. */
  readonly isSwapSafe: boolean;
}

const NOWHERE: Position = { epoch: 0, index: 0 };

/**
 * The agent of a node: holds a session with any manager, keeps the values that its tasks use in
 * memory, writes them into the tasks' files and runs the tasks. Without any manager everything
 * that runs goes on. Once it knows that the node was removed it ends all of it and stays idle.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #held: HeldValues;
  readonly #outbox: ReportOutbox;
  readonly #reconciler: Reconciler;
  readonly #loop: SessionLoop;
  #position: Position;
  #isSwapSafe = true;
  #mediumCheck: TimerHandle | undefined;

  constructor(options: AgentOptions) {
    const { files, records, clock, timers, random, logger } = options;
    this.#options = options;
    this.#held = new HeldValues(random);
    this.#position = records.loadPosition() ?? NOWHERE;
    this.#outbox = new ReportOutbox({ timers, logger });
    this.#reconciler = new Reconciler({
      executors: new Map(options.executors.map((executor) => [executor.runtime, executor])),
      files,
      held: this.#held,
      records,
      outbox: this.#outbox,
      starts: new Slots(STARTS_AT_ONCE_MAX),
      clock,
      timers,
      logger,
    });
    this.#loop = new SessionLoop({
      dialer: options.dialer,
      book: new ManagerBook({ managers: options.managers, save: options.saveManagers, random }),
      context: () => this.#sessionContext(),
      onRemoved: () => this.#endAll(),
      clock,
      random,
      timers,
      logger,
    });
  }

  /** Adopts what an earlier run left and wipes the rest; only then looks for a manager. */
  async start(): Promise<void> {
    this.#checkMedium();
    await this.#reconciler.adoptAll();
    this.#loop.start();
    this.#mediumCheck = this.#options.timers.every(MEDIUM_CHECK_MS, () => this.#checkMedium());
  }

  /**
   * Ends the session and wipes the values in memory. `keepTasks`: tasks and their files stay for
   * the next run; otherwise they are stopped and wiped first.
   */
  async stop({ keepTasks }: { readonly keepTasks: boolean }): Promise<void> {
    this.#mediumCheck?.cancel();
    await this.#loop.close();
    if (!keepTasks) await this.#reconciler.stopAll();
    await this.#reconciler.close();
    this.#outbox.detach();
  }

  /** Opens the session anew, for example with a renewed certificate. */
  reconnect(): void {
    this.#loop.reconnect();
  }

  /** Takes in what a manager has answered this node outside of a session: a code of an error. */
  hear(managerId: string, code: string): void {
    this.#loop.judge(managerId, code);
  }

  status(): AgentStatus {
    const { session } = this.#loop;
    return {
      managerId: session?.isOpen === true ? session.manager.nodeId : '',
      standing: this.#loop.standing,
      position: this.#position,
      tasks: this.#reconciler.records(),
      heldVersionCount: this.#held.keys().length,
      waitingReportCount: this.#outbox.count,
      medium: this.#options.files.medium,
      isSwapSafe: this.#isSwapSafe,
    };
  }

  /**
   * Output of a task of this node.
   * @throws CV_TASK_NOT_FOUND when this node has none
   */
  logs(taskId: string, options: LogsOptions): AsyncIterable<OutputPiece> {
    const executor = this.#reconciler.executorOf(taskId);
    if (executor === undefined) {
      throw new ConclaveError('CV_TASK_NOT_FOUND', 'this node has no output of the task');
    }
    return executor.logs(taskId, options);
  }

  #sessionContext(): SessionContext {
    const { clusterId, nodeId, bootId, description, random, timers, logger } = this.#options;
    return {
      clusterId,
      nodeId,
      bootId,
      description,
      position: this.#position,
      heldKeys: () => this.#held.keys(),
      isHeld: (key) => this.#held.has(key),
      outbox: this.#outbox,
      openLogs: (send) => new LogService((taskId) => this.#reconciler.executorOf(taskId), send),
      onAssignment: (assignment) => this.#apply(assignment),
      onInfo: ({ certificateLifeMs, managers, roots, wantedRole }) => {
        this.#loop.book.update(managers);
        if (roots !== null) this.#options.onRoots?.(roots);
        this.#options.onWantedRole?.(wantedRole);
        this.#options.onCertificateLife?.(certificateLifeMs);
      },
      algorithm: this.#options.algorithm,
      random,
      timers,
      logger,
    };
  }

  #apply(assignment: Assignment): void {
    this.#reconciler.apply(assignment);
    this.#position = assignment.position;
    try {
      this.#options.records.savePosition(assignment.position);
    } catch (error) {
      // What is withdrawn must go, and what is wanted must run, whatever can be noted down.
      this.#options.logger.error('agent.position-not-saved', { error });
    }
  }

  /** Nothing is assigned to a node that was removed: every task is stopped and forgotten. */
  #endAll(): void {
    this.#reconciler.apply({ tasks: new Map(), values: new Map() });
    this.#options.onRemoved?.();
  }

  #checkMedium(): void {
    let reason = 'swap is active and the files of tasks may be swapped out';
    try {
      this.#isSwapSafe = this.#options.files.isSwapSafe();
    } catch (error) {
      this.#isSwapSafe = false;
      reason = `the medium cannot be proven: ${toConclaveError(error).message}`;
    }
    if (!this.#isSwapSafe) this.#options.logger.error('medium.swappable', { reason });
  }
}

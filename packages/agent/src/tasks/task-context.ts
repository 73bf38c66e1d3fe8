import type { Clock, Logger, Timers } from '@conclave/kernel';
import type { TaskFiles } from '@conclave/memfs';

import type { Executor } from '../executors/executor.js';
import type { HeldValues } from './held-values.js';
import type { ReportOutbox } from './report-outbox.js';
import type { Slots } from './slots.js';
import type { TaskRecords } from './task-record.js';

/** What all tasks of an agent share. */
export interface TaskContext {
  readonly executors: ReadonlyMap<string, Executor>;
  readonly files: TaskFiles;
  readonly held: HeldValues;
  readonly records: TaskRecords;
  readonly outbox: ReportOutbox;
  readonly starts: Slots;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What the owner of a runner hears of it. */
export interface TaskEvents {
  readonly onForgotten: () => void;
  /** The task ended by itself; its output is kept until `dropOutput`. */
  readonly onOutputKept: () => void;
}

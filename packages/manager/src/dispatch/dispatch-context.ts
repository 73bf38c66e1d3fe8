import type { Clock, Logger, Timers } from '@conclave/kernel';
import type { KeyRing } from '@conclave/sealed';
import type { ReceiptRow, State, TaskReport } from '@conclave/state';
import type { SessionInfoInput } from '@conclave/wire';
import type { Lease } from './lease.js';
import type { ReportQueue } from './report-queue.js';

/** What every session of one manager shares. */
export interface DispatchContext {
  readonly state: () => State;
  readonly ring: () => KeyRing;
  readonly lease: Lease;
  /** Resolves when the state shows all that was committed before. @throws CV_NO_LEADER */
  readonly confirm: () => Promise<unknown>;
  readonly taskReports: ReportQueue<TaskReport>;
  readonly receipts: ReportQueue<Omit<ReceiptRow, 'index'> & { readonly nodeId: string }>;
  readonly sessionInfo: (nodeId: string) => SessionInfoInput;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

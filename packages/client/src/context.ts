import type { Clock, Random, Timers } from '@conclave/kernel';
import type { RpcPort } from './port.js';

/** Where the client gets time and randomness from. */
export interface ClientEnvironment {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Milliseconds for a read with all its attempts; default 15 000. */
  readonly readDeadlineMs?: number | undefined;
  /** Milliseconds for a write with all its attempts; default 30 000. */
  readonly writeDeadlineMs?: number | undefined;
}

/** What every part of the client shares. */
export interface ClientContext extends ClientEnvironment {
  readonly port: RpcPort;
}

/** Settings of one call. */
export interface CallOptions {
  /** Milliseconds for all attempts together; default by kind of call. */
  readonly deadlineMs?: number | undefined;
  /** Ends the call with `CV_CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
}

/** Settings of a read. */
export interface ReadOptions extends CallOptions {
  /** Answer from the manager that is asked, without asking the leader; default false. */
  readonly isStale?: boolean | undefined;
}

/** Settings of a write. */
export interface WriteOptions extends CallOptions {
  /**
   * 1..64 printable ASCII characters without spaces. Repeating a write with the same key answers what the first one did; drawn when
   * absent. A key that was used for another request is refused (`CV_IDEMPOTENCY_REUSED`).
   */
  readonly idempotencyKey?: string | undefined;
}

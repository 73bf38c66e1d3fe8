import { RaftError } from '../index.js';

/**
 * What went wrong in the driver.
 *
 * `OPTIONS`: an option is missing or out of range. `REJECTED`: what was asked for certainly does
 * not happen. `UNKNOWN`: it may still happen. `STORE_FAILED`, `STATE_MACHINE_FAILED`,
 * `CONTRACT_BROKEN`: final; the log store or the state machine failed, or did not do what its
 * interface says.
 */
export type DriverErrorCode =
  'OPTIONS' | 'REJECTED' | 'UNKNOWN' | 'STORE_FAILED' | 'STATE_MACHINE_FAILED' | 'CONTRACT_BROKEN';

/** Options of `DriverError`. */
export interface DriverErrorOptions {
  /** Machine-readable part of a `REJECTED` or `UNKNOWN`, such as `noLeader` or `aborted`. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** An error of the driver. `code` and `reason` are the contract, the text is for people. */
export class DriverError extends RaftError {
  override readonly name = 'DriverError';
  readonly code: DriverErrorCode;
  /** Empty if the code says everything. */
  readonly reason: string;

  /**
   * @param code what went wrong
   * @param text one line for people, without payloads
   * @param options details
   */
  constructor(code: DriverErrorCode, text: string, options: DriverErrorOptions = {}) {
    super(text, { cause: options.cause });
    this.code = code;
    this.reason = options.reason ?? '';
  }
}

import { CALL_ERRORS } from './error-rows-of-calls.js';
import { HOST_ERRORS } from './error-rows-of-hosts.js';
import type { ErrorRow } from './error-row.js';

/**
 * The one table of error codes. `docs/reference/errors.md` is generated from it, the mapping to
 * gRPC status lives in `wire`, the mapping to exit codes in `cli`.
 */
export const ERROR_TABLE: typeof CALL_ERRORS & typeof HOST_ERRORS = {
  ...CALL_ERRORS,
  ...HOST_ERRORS,
};

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** The row of `code`. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

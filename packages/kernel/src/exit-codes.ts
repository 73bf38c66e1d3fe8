import type { ErrorKind } from './error-row.js';

/** Exit code of our programs by kind of error; the numbers follow sysexits. */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  usage: 64,
  missing: 66,
  conflict: 65,
  denied: 77,
  limit: 65,
  'not-ready': 75,
  unavailable: 69,
  corrupt: 76,
  environment: 71,
  defect: 70,
};

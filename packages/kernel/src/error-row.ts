/** The class of an error: decides gRPC status, exit code and whether a retry helps. */
export type ErrorKind =
  | 'usage'
  | 'missing'
  | 'conflict'
  | 'denied'
  | 'limit'
  | 'not-ready'
  | 'unavailable'
  | 'corrupt'
  | 'environment'
  | 'defect';

/** The gRPC status name that a code travels under. */
export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'ABORTED'
  | 'FAILED_PRECONDITION'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'DATA_LOSS'
  | 'INTERNAL';

/** One row of the table. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly status: StatusName;
  /** When it happens, for the reference page. */
  readonly when: string;
  /** What to do next. */
  readonly next: string;
}

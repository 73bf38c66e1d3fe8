export { ADMIN_ROLES, LOCAL_ADMIN_ID } from './admin-roles.js';
export type { AdminRole } from './admin-roles.js';
export { decodeBase32, encodeBase32 } from './base32.js';
export { concatBytes, equalBytes, fromHex, toHex } from './bytes.js';
export {
  assert,
  ConclaveError,
  InvariantViolation,
  isConclaveError,
  isErrorCode,
  required,
  toConclaveError,
} from './errors.js';
export type { ErrorDetails, ErrorOptions } from './errors.js';
export { ERROR_TABLE, errorRow } from './error-table.js';
export type { ErrorKind, ErrorRow, StatusName } from './error-row.js';
export type { ErrorCode } from './error-table.js';
export { createId, ID_BYTES, isId } from './ids.js';
export * as limits from './limits.js';
export { SILENT_LOGGER } from './logger.js';
export type { LogFields, Logger } from './logger.js';
export {
  byteLength,
  canonicalName,
  checkFileMode,
  checkLabels,
  checkObjectName,
  checkSecretName,
  checkTarget,
  hasControl,
} from './names.js';
export { jitter } from './random.js';
export type { Random } from './random.js';
export { checkSecretPattern, isCovered } from './secret-pattern.js';
export { delay } from './time.js';
export type { CancelSignal, Clock, TimerHandle, Timers } from './time.js';
export { EXIT_CODES } from './exit-codes.js';
export { VERSION } from './version.js';

import type { ErrorRow } from './error-row.js';

/**
 * The one table of error codes. `docs/reference/errors.md` is generated from it, the mapping to
 * gRPC status lives in `wire`, the mapping to exit codes in `cli`.
 */

/** Code to row, sorted by code. */
export const ERROR_TABLE = {
  CV_ADMIN_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No administrator with a certificate has this name or id.',
    next: 'List them with `conclave admin ls`.',
  },
  CV_ALREADY_INITIALIZED: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'This host is already a member of a cluster.',
    next: 'Run `conclave leave` first if it should start anew.',
  },
  CV_ARGUMENT_INVALID: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'A field or flag has a malformed or missing value.',
    next: 'Correct the field that the message names.',
  },
  CV_CA_MISMATCH: {
    kind: 'denied',
    status: 'UNAUTHENTICATED',
    when: 'The manager presented a certificate of another cluster than the token names.',
    next: 'Check the address; somebody may be in between. Nothing was sent.',
  },
  CV_CANCELLED: {
    kind: 'unavailable',
    status: 'CANCELLED',
    when: 'The caller gave up before the answer.',
    next: 'Repeat the command if it is still wanted.',
  },
  CV_CERTIFICATE_EXPIRED: {
    kind: 'denied',
    status: 'UNAUTHENTICATED',
    when: 'A certificate is outside its time of validity.',
    next: 'Compare the clocks of both hosts.',
  },
  CV_CLOCK_SKEW: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'The clock of this host is too far from the cluster.',
    next: 'Set the clock, then repeat the command.',
  },
  CV_CONFIG_INVALID: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'The configuration file has an unknown key or a wrong value.',
    next: 'Correct the line that the message names.',
  },
  CV_CONTEXT_INVALID: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'A context is damaged, of another version, or readable by other users.',
    next: 'Remove it with `conclave context rm` and take a new one.',
  },
  CV_CONTEXT_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'This user has no context of this name.',
    next: 'List them with `conclave context ls`.',
  },
  CV_DATA_DIR_IN_USE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'Another daemon already uses this data folder.',
    next: 'Stop it, or give this one its own --data-dir.',
  },
  CV_DATA_DIR_LOOSE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'The data folder is readable by others.',
    next: 'chmod 700 the folder and check what was in it.',
  },
  CV_DEADLINE: {
    kind: 'unavailable',
    status: 'DEADLINE_EXCEEDED',
    when: 'No answer came in time.',
    next: 'Repeat it, with more time (--timeout) if the cluster is busy.',
  },
  CV_DISK_FULL: {
    kind: 'environment',
    status: 'RESOURCE_EXHAUSTED',
    when: 'The disk of the manager has no room for another write.',
    next: 'Free space on the data folder; writes resume by themselves.',
  },
  CV_DISK_ROLLED_BACK: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'The disk of this manager is an older copy: others have seen later writes of it.',
    next: 'Keep the files, remove this manager, and let it join anew.',
  },
  CV_ENVELOPE_FORGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'Sealed bytes do not open under their key and position.',
    next: 'Do not retry; compare with the other managers.',
  },
  CV_ENVIRONMENT_REFUSED: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'A variable or flag in the environment would weaken the process.',
    next: 'Unset the variable that the message names.',
  },
  CV_EXECUTOR_FAILED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'A command could not be started on the host.',
    next: 'Read the message; check the command and its user.',
  },
  CV_HISTORY_COMPACTED: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'A watch asks for changes that are not kept any more.',
    next: 'Begin again with a snapshot.',
  },
  CV_IDEMPOTENCY_REUSED: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'An idempotency key came again with a different request.',
    next: 'Use a fresh key for every new request.',
  },
  CV_INTERNAL: {
    kind: 'defect',
    status: 'INTERNAL',
    when: 'A defect of Conclave.',
    next: 'Report it with the log lines around its time.',
  },
  CV_LAST_MANAGER: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'The change would leave the cluster without a manager or without a quorum.',
    next: 'Add managers first.',
  },
  CV_LIMIT_EXCEEDED: {
    kind: 'limit',
    status: 'RESOURCE_EXHAUSTED',
    when: 'A stated bound is exceeded.',
    next: 'Stay under the bound that the message names.',
  },
  CV_LOCKED: {
    kind: 'not-ready',
    status: 'UNAVAILABLE',
    when: 'The keys of this manager are locked: it was started and nobody has opened them yet.',
    next: 'Run `conclave unlock` on that host and give the recovery key on standard input.',
  },
  CV_LOG_DAMAGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'A stored record fails its check and is not a torn tail.',
    next: 'Keep the files, remove this manager, and let it join anew.',
  },
  CV_MOUNT_DENIED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'The host refuses to mount a memory file system.',
    next: 'Run as root, or allow user namespaces.',
  },
  CV_NAME_INVALID: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'A name breaks its rule.',
    next: 'Use a name as the message describes.',
  },
  CV_NAME_TAKEN: {
    kind: 'conflict',
    status: 'ALREADY_EXISTS',
    when: 'An object with this name exists, upper and lower case being equal.',
    next: 'Choose another name or update the existing one.',
  },
  CV_NODE_IN_USE: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'The node is READY or still a member of the quorum.',
    next: 'Stop or drain it first, or use --force.',
  },
  CV_NODE_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No node has this id or name.',
    next: 'List them with `conclave node ls`.',
  },
  CV_NODE_REMOVED: {
    kind: 'denied',
    status: 'UNAUTHENTICATED',
    when: 'This host was removed from the cluster; its identity has ended.',
    next: 'Run `conclave leave --force` there; it may join anew with a token.',
  },
  CV_NO_LEADER: {
    kind: 'not-ready',
    status: 'UNAVAILABLE',
    when: 'The managers have no leader or no quorum.',
    next: 'See `conclave status`; a retry is safe with the same idempotency key.',
  },
  CV_NOT_INITIALIZED: {
    kind: 'not-ready',
    status: 'FAILED_PRECONDITION',
    when: 'This host is not a member of a cluster.',
    next: 'Run `conclave init` or `conclave join`.',
  },
  CV_NOT_LEADER: {
    kind: 'not-ready',
    status: 'UNAVAILABLE',
    when: 'This manager is not the leader.',
    next: 'Ask the leader that the details name.',
  },
  CV_NOT_LOCKED: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'This host is not a locked manager; there is nothing to unlock.',
    next: 'Run `conclave status`.',
  },
  CV_NOT_MANAGER: {
    kind: 'not-ready',
    status: 'FAILED_PRECONDITION',
    when: 'This host is a worker; only managers answer control calls.',
    next: 'Run the command on a manager.',
  },
  CV_NOT_MEMORY_FS: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'A folder that must be in memory is on a disk or may be swapped.',
    next: 'Use a folder on tmpfs or ramfs.',
  },
  CV_OUTCOME_UNKNOWN: {
    kind: 'unavailable',
    status: 'UNAVAILABLE',
    when: 'Leadership changed while the write was on its way; it may or may not be done.',
    next: 'Repeat it with the same idempotency key.',
  },
  CV_PEER_UNREACHABLE: {
    kind: 'unavailable',
    status: 'UNAVAILABLE',
    when: 'The address does not answer.',
    next: 'Check address, port and firewall.',
  },
  CV_PROTOCOL: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'A message breaks the protocol or comes from an incompatible version.',
    next: 'Compare versions with `conclave version`.',
  },
  CV_QUEUE_FULL: {
    kind: 'limit',
    status: 'RESOURCE_EXHAUSTED',
    when: 'Too much work is waiting.',
    next: 'Retry after the time that the answer names.',
  },
  CV_RECOVERY_KEY_INVALID: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'The text is not that of a recovery key or share; a letter may be wrong or missing.',
    next: 'Give the whole text, from `cvrk1-` or `cvrs1-` to the end, on standard input.',
  },
  CV_RECOVERY_KEY_WRONG: {
    kind: 'denied',
    status: 'PERMISSION_DENIED',
    when: 'The text is well-formed and belongs to another recovery key or set of shares.',
    next: 'Look for the key whose second part is the id that `conclave status` names.',
  },
  CV_RECOVERY_PENDING: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'The recovery key cannot be replaced yet, or no replacement is under way.',
    next: 'Start and unlock the managers that the message names, then repeat the command.',
  },
  CV_ROLE_FORBIDDEN: {
    kind: 'denied',
    status: 'PERMISSION_DENIED',
    when: 'The identity may not do this.',
    next: 'Use an identity with the right.',
  },
  CV_ROTATION_RUNNING: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'A rotation of the key ring is on its way already.',
    next: 'See with `conclave status` how far it is and what it waits for; it goes on by itself.',
  },
  CV_SECRET_IN_USE: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'A service or live task refers to the secret.',
    next: 'Update or remove the users that the message names.',
  },
  CV_SECRET_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No secret has this name or id.',
    next: 'List them with `conclave secret ls`.',
  },
  CV_SECRET_TOO_LARGE: {
    kind: 'limit',
    status: 'RESOURCE_EXHAUSTED',
    when: 'The value is larger than the limit of the cluster.',
    next: 'Store large files elsewhere and keep their key here.',
  },
  CV_SECRET_USE_FORBIDDEN: {
    kind: 'denied',
    status: 'PERMISSION_DENIED',
    when: 'The identity may run services, but may not give this secret to one.',
    next: 'Ask an administrator for an identity with `--use` for the secret.',
  },
  CV_SERVICE_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No service has this name or id.',
    next: 'List them with `conclave service ls`.',
  },
  CV_SESSION_INVALID: {
    kind: 'denied',
    status: 'PERMISSION_DENIED',
    when: 'A session was replaced by a newer one or has ended.',
    next: 'The agent opens a new one by itself.',
  },
  CV_SLOT_IN_USE: {
    kind: 'conflict',
    status: 'FAILED_PRECONDITION',
    when: 'A key slot cannot be added or removed: there is one already, or it must stay.',
    next: 'Run `conclave keys ls` for the slots; the recovery slot is replaced by `conclave keys rotate-recovery`.',
  },
  CV_SLOT_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No key slot of this manager has this id.',
    next: 'Run `conclave keys ls` for the slots.',
  },
  CV_SNAPSHOT_DAMAGED: {
    kind: 'corrupt',
    status: 'DATA_LOSS',
    when: 'A snapshot does not match its check sum or order.',
    next: 'It is sent again; look for a failing disk.',
  },
  CV_SOCKET_IN_USE: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'Another daemon answers on this socket or port.',
    next: 'Stop it, or choose another.',
  },
  CV_STATE_STALE: {
    kind: 'not-ready',
    status: 'UNAVAILABLE',
    when: 'This manager is new and has no state yet, or has not confirmed it with a leader lately.',
    next: 'Retry; another manager may answer at once.',
  },
  CV_STORE_FAILED: {
    kind: 'environment',
    status: 'INTERNAL',
    when: 'The disk refused a write; the manager stops.',
    next: 'Check the disk, then start the manager again.',
  },
  CV_TASK_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No task has this id.',
    next: 'List them with `conclave task ls`.',
  },
  CV_TOKEN_INVALID: {
    kind: 'denied',
    status: 'PERMISSION_DENIED',
    when: 'The join token is unknown, used, expired or revoked.',
    next: 'Create a new one with `conclave token create`.',
  },
  CV_TOKEN_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'No token has this id.',
    next: 'List them with `conclave token ls`.',
  },
  CV_UNAUTHENTICATED: {
    kind: 'denied',
    status: 'UNAUTHENTICATED',
    when: 'The caller has no accepted identity.',
    next: 'Use the certificate of this cluster.',
  },
  CV_UNSUPPORTED: {
    kind: 'usage',
    status: 'INVALID_ARGUMENT',
    when: 'The request asks for something this version does not do.',
    next: 'Read the message for what is possible instead.',
  },
  CV_UNLOCK_FAILED: {
    kind: 'environment',
    status: 'FAILED_PRECONDITION',
    when: 'What should open the keys at start cannot be used or gave a wrong answer.',
    next: 'Check the command and what it talks to, or run `conclave unlock` with the recovery key.',
  },
  CV_VERSION_NOT_FOUND: {
    kind: 'missing',
    status: 'NOT_FOUND',
    when: 'The secret has no such live version.',
    next: 'See `conclave secret history`.',
  },
  CV_VERSION_STALE: {
    kind: 'conflict',
    status: 'ABORTED',
    when: 'The object changed since it was read.',
    next: 'Read it again and repeat the change.',
  },
} as const;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** The row of `code`. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERROR_TABLE[code];
}

/** Every bound of the product with its reason. Relations are asserted in the package's tests. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of a secret name, segments and slashes together. */
export const SECRET_NAME_BYTES_MAX: number = 253;
/** Characters of one segment of a secret name: a file name on every system. */
export const SECRET_SEGMENT_LENGTH_MAX: number = 63;
/** Characters of a service, node or stack name. */
export const OBJECT_NAME_LENGTH_MAX: number = 63;
/** Label pairs per object. */
export const LABEL_COUNT_MAX: number = 64;
/** Bytes of a label key (1..128). */
export const LABEL_KEY_BYTES_MAX: number = 128;
/** Bytes of a label value (0..256). */
export const LABEL_VALUE_BYTES_MAX: number = 256;
/** Bytes of a description. */
export const DESCRIPTION_BYTES_MAX: number = 1024;
/** Bytes of a secret value unless the cluster setting says otherwise. */
export const SECRET_VALUE_BYTES_DEFAULT: number = MIB;
/** The most that the cluster setting may allow. */
export const SECRET_VALUE_BYTES_MAX: number = 8 * MIB;
/** Bytes of the file name of a binding. */
export const TARGET_BYTES_MAX: number = 255;
/** File modes of a binding: permission bits only, and none that lets others than the owner write. */
export const FILE_MODE_MAX: number = 0o755;
/** Bindings of one service. */
export const BINDING_COUNT_MAX: number = 200;
/** Placement constraints of one service. */
export const CONSTRAINT_COUNT_MAX: number = 32;
/** Replicas of one service. */
export const REPLICA_COUNT_MAX: number = 10_000;
/** Words of a command, and bytes of all of them. */
export const COMMAND_WORD_COUNT_MAX: number = 256;
/** Bytes of a command line and of its environment. */
export const COMMAND_BYTES_MAX: number = 64 * KIB;
/** First and last uid, and gid, of tasks that have one of their own; no service may name one. */
export const TASK_UID_MIN: number = 700_000;
export const TASK_UID_MAX: number = 765_535;
/** Users that the configuration of a host may allow to services. */
export const ALLOWED_TASK_USERS_MAX: number = 64;
/** Environment variables of a service. */
export const ENVIRONMENT_COUNT_MAX: number = 256;
/** Finished tasks kept per slot. */
export const TASK_HISTORY_COUNT: number = 5;
/** Uses of one join token. */
export const TOKEN_USES_MAX: number = 10_000;
/** Milliseconds that a join token may live. */
export const TOKEN_TTL_MS_MAX: number = 30 * 24 * 3_600_000;
/** Address ranges of one join token. */
export const TOKEN_RANGES_MAX: number = 16;
/** Remembered idempotency keys; older ones are forgotten in log order. */
export const IDEMPOTENCY_KEYS_MAX: number = 10_000;
/** Bytes of an idempotency key. */
export const IDEMPOTENCY_KEY_BYTES_MAX: number = 64;
/** Bytes of one proposal: the largest value, padded by at most an eighth, with its envelope. */
export const PROPOSAL_BYTES_MAX: number =
  SECRET_VALUE_BYTES_MAX + SECRET_VALUE_BYTES_MAX / 8 + 64 * KIB;
/** Bytes of one gRPC message: a proposal of the largest size and what travels around it. */
export const REQUEST_BYTES_MAX: number = PROPOSAL_BYTES_MAX + 256 * KIB;
/** Bytes of one chunk of a snapshot. */
export const SNAPSHOT_CHUNK_BYTES_MAX: number = MIB;
/** Bytes of one sealed part of a delivered value. */
export const DELIVERY_PART_BYTES_MAX: number = 256 * KIB;
/** Items in one message of an assignment stream. */
export const ASSIGNMENT_ITEMS_MAX: number = 256;
/** Bytes queued for a slow reader of a stream before it is dropped. */
export const STREAM_QUEUE_BYTES_MAX: number = 2 * MIB;
/** Changes kept for watchers that resume. */
export const WATCH_HISTORY_MAX: number = 10_000;
/** Managers in one cluster: 7 voters and their successors while they join. */
export const MANAGER_COUNT_MAX: number = 9;
/** Bytes of output kept per task, over all rotated parts. */
export const TASK_OUTPUT_BYTES_MAX: number = 2 * MIB;
/** Heartbeat period of an agent with few agents around. */
export const HEARTBEAT_PERIOD_MS: number = 1_500;
/** Missed heartbeat periods after which a node is DOWN. */
export const HEARTBEAT_MISSES_MAX: number = 3;
/** Lines kept of the history of one secret; the oldest go. */
export const SECRET_HISTORY_COUNT_MAX: number = 1_000;
/**
 * Newest versions of a secret that are kept whatever happens; older ones are collected unless they
 * are current, previous or pinned.
 */
export const SECRET_VERSIONS_KEPT: number = 100;
/** Records of which node was given which version; the ones longest without renewal go. */
export const EXPOSURE_COUNT_MAX: number = 250_000;
/**
 * Removed nodes on record, so that they can be told; the oldest go. The largest cluster may be
 * replaced within the life of a certificate. Who is not on record any more is refused all the same.
 */
export const REMOVED_NODES_MAX: number = 5_000;
/** Join tokens on record; those that admit nobody any more make room. */
export const TOKEN_COUNT_MAX: number = 1_000;
/** Administrators with certificates on record; those that cannot come back make room. */
export const ADMIN_COUNT_MAX: number = 1_000;
/** Milliseconds that certificates live unless the cluster setting says otherwise. */
export const CERTIFICATES_DEFAULT: {
  readonly managerLifeMs: number;
  readonly workerLifeMs: number;
  readonly adminLifeMs: number;
} = {
  managerLifeMs: 7 * 24 * 3_600_000,
  workerLifeMs: 24 * 3_600_000,
  adminLifeMs: 12 * 3_600_000,
};
/**
 * Milliseconds that a certificate lives at least: a quarter of it is what is left to try again when
 * a renewal fails, and an election takes seconds of that.
 */
export const CERTIFICATE_LIFE_MS_MIN: number = 60_000;
/** The longest for a node: a quarter of a year is longer than anybody leaves a host alone. */
export const CERTIFICATE_LIFE_MS_MAX: number = 90 * 24 * 3_600_000;
/** Milliseconds after the end of a worker's certificate in which it still yields the next one. */
export const RECOVERY_MS_MAX: number = 30 * 24 * 3_600_000;
/**
 * Roots that were replaced and still lead to the one in force, so that workers that were off come
 * back: a root replaced every four days. The oldest go.
 */
export const FORMER_ROOTS_MAX: number = 8;
/** The longest for an administrator: keys of people lie on machines that nobody watches. */
export const ADMIN_TTL_MS_MAX: number = 7 * 24 * 3_600_000;
/** Patterns of secrets that an administrator may bind to services. */
export const ADMIN_USES_MAX: number = 64;
/** Shares that a recovery key is split into. */
export const RECOVERY_SHARE_COUNT_MAX: number = 16;
/** Slots that open the keys of one manager. */
export const KEY_SLOT_COUNT_MAX: number = 8;

import { limits } from '@conclave/kernel';

const MIB = 1024 * 1024;

/** Milliseconds until a prepared command must have been started. */
export const START_MS_MAX: number = 30_000;
/** Milliseconds between two looks whether it was. */
export const START_POLL_MS: number = 10;
/** Seconds after the end of a task in which no agent takes over, until its supervisor wipes. */
export const WATCHDOG_SECONDS: number = 5;
/** Milliseconds between two looks at processes whose end nobody announces. */
export const PROCESS_POLL_MS: number = 1_000;
/** Milliseconds that SIGKILL may take to be seen. */
export const KILL_MS_MAX: number = 10_000;
/** Rounds of SIGKILL against a task that forks as fast as it dies, and milliseconds between them. */
export const KILL_ROUNDS_MAX: number = 200;
export const KILL_ROUND_MS: number = 10;
/** Milliseconds that a command of an on-change action may take. */
export const EXEC_MS_MAX: number = 30_000;
/** Bytes that a task may print faster than the agent can cut its output. */
export const OUTPUT_BURST_BYTES_MAX: number = 64 * MIB;
/** Bytes of the newest part of one stream; the part before it has at most as many. */
export const OUTPUT_PART_BYTES_MAX: number = Math.floor(limits.TASK_OUTPUT_BYTES_MAX / 4);
/**
 * Bytes that a part counts for at most. One of that size was made by other means than printing, and
 * nothing of it is kept.
 */
export const OUTPUT_SIZE_BYTES_MAX: number = 16 * 1024 * MIB;
/** Milliseconds between two cuts of the output of a task. */
export const OUTPUT_CUT_MS: number = 50;
/** Bytes of one piece of output on its way to a manager. */
export const OUTPUT_PIECE_BYTES_MAX: number = 64 * 1024;
/** Tasks that ended by themselves whose output is kept for whoever asks why. */
export const ENDED_OUTPUTS_MAX: number = 64;
/** Milliseconds between two looks of a reader that follows. */
export const OUTPUT_FOLLOW_MS: number = 200;
/** Bytes of the system's complaint that a report may carry. */
export const COMPLAINT_BYTES_MAX: number = 400;
/** Tasks that one agent takes. */
export const TASK_COUNT_MAX: number = 5_000;
/** Versions that one agent holds. */
export const HELD_VERSIONS_MAX: number = 10_000;
/** Bytes of all values that one agent holds. */
export const HELD_BYTES_MAX: number = 512 * MIB;
/** Chunks of one assignment. */
export const ASSIGNMENT_CHUNKS_MAX: number = 20_000;
/** Milliseconds of grace that a service may ask for. */
export const STOP_GRACE_MS_MAX: number = 3_600_000;
export const STOP_GRACE_MS_DEFAULT: number = 10_000;
/** Tasks that are started at the same time. */
export const STARTS_AT_ONCE_MAX: number = 8;
/** Milliseconds until files that could not be written, or removed, are tried again. */
export const FILES_RETRY_MS: number = 5_000;
/** Reports in one batch, batches on their way, and receipts kept in all. */
export const REPORT_BATCH_MAX: number = 256;
export const REPORT_BATCHES_OPEN_MAX: number = 4;
export const RECEIPTS_KEPT_MAX: number = 20_000;
/** Milliseconds in which reports gather into one batch. */
export const REPORT_GATHER_MS: number = 5;
/** Characters of a text for people in a report. */
export const REPORT_TEXT_LENGTH_MAX: number = 500;
/** Milliseconds until a manager must have answered a Hello. */
export const ACCEPT_MS_MAX: number = 10_000;
/**
 * Milliseconds without any sign of the manager after which another one is looked for: its host may
 * have lost power. Under the grace that a node has whose manager is gone (twice three heartbeats).
 */
export const MANAGER_SILENCE_MS_MAX: number = 4_000;
/** Milliseconds between two attempts to reach any manager; doubles up to the second. */
export const RECONNECT_MS_MIN: number = 100;
export const RECONNECT_MS_MAX: number = 5_000;
/** Milliseconds after which a session counts as good: the pause before the next is short again. */
export const SESSION_SETTLED_MS: number = 5_000;
/** Range of heartbeat periods that an agent follows. */
export const HEARTBEAT_MS_MIN: number = 50;
export const HEARTBEAT_MS_MAX: number = 60_000;
/** Share by which a heartbeat comes earlier or later, so that agents do not beat in step. */
export const HEARTBEAT_JITTER: number = 0.2;
/** Managers that an agent remembers. */
export const MANAGERS_KEPT_MAX: number = 32;
/** Readers of output at one session. */
export const LOG_READERS_MAX: number = 32;
/** Milliseconds between two looks at what values rest on. */
export const MEDIUM_CHECK_MS: number = 30_000;
/** The protocol that this agent speaks. */
export const PROTOCOL: number = 1;
/** Milliseconds that steps under way may take when an agent closes. */
export const CLOSE_MS_MAX: number = 2_000;
/** Milliseconds that the last message of a session may take to leave. */
export const FAREWELL_MS_MAX: number = 500;

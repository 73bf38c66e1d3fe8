import { limits } from '@conclave/kernel';

const MIB = 1024 * 1024;

/** First and last uid of tasks that have one of their own. */
export const TASK_UID_MIN: number = 700_000;
export const TASK_UID_MAX: number = 765_535;
/** Milliseconds until a prepared command must have been started. */
export const START_MS_MAX: number = 30_000;
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
/** Bytes of one piece of output on its way to a manager. */
export const OUTPUT_PIECE_BYTES_MAX: number = 64 * 1024;
/** Milliseconds between two looks of a reader that follows. */
export const OUTPUT_FOLLOW_MS: number = 200;
/** Bytes of the system's complaint that a report may carry. */
export const COMPLAINT_BYTES_MAX: number = 400;

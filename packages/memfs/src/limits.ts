const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of one page of a memory file system: every file takes whole pages. */
export const PAGE_BYTES: number = 4 * KIB;
/** Room for directories and links beside the files themselves. */
export const SLACK_BYTES: number = 64 * KIB;
/** Bytes that all generations of one task may take together. */
export const TASK_FILES_BYTES_MAX: number = 256 * MIB;
/** Files of one generation. */
export const GENERATION_FILES_MAX: number = 200;
/** Replaced generations that are kept for readers that still hold one open. */
export const RETIRED_GENERATIONS_MAX: number = 64;
/** Bytes of replaced generations beyond which the oldest is emptied. */
export const RETIRED_BYTES_MAX: number = 8 * MIB;
/** Milliseconds after which a replaced generation is emptied by the next write. */
export const RETIRED_AGE_MS_MAX: number = 10_000;
/** Bytes of the file system for the agent's own notes about its tasks. */
export const TASKS_ROOT_BYTES: number = 64 * MIB;
/** Attempts to unmount a file system that is busy, and milliseconds between them. */
export const UNMOUNT_ATTEMPTS_MAX: number = 20;
export const UNMOUNT_RETRY_MS: number = 50;
/** Milliseconds that the mount tool may take. */
export const MOUNT_TOOL_MS_MAX: number = 10_000;
/** Bytes of the mount tool's complaint that are passed on. */
export const MOUNT_TOOL_TEXT_BYTES_MAX: number = 400;
/** Leftovers named in one report. */
export const LEFTOVERS_MAX: number = 32;
/** Milliseconds after which a copy of a mount counts as held. */
export const COPIES_SETTLE_MS: number = 200;

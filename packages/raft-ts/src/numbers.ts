/** Id of a member, 1..MAX_NODE_ID; 0 (`NONE`) stands for nobody. */
export type NodeId = number;
/** Term of an election, 0..MAX_INDEX; 0 is before the first election. */
export type Term = number;
/** Position in the log, counted from 1; 0 is the place before the first entry. */
export type Index = number;
/** A number of calls of `tick`. */
export type Ticks = number;
/** A size in bytes; `Infinity` means no limit where a limit is asked for. */
export type Bytes = number;

/** The id that names no node. */
export const NONE = 0;

/** The largest id of a real node: the two above it stand for local storage threads. */
export const MAX_NODE_ID: number = Number.MAX_SAFE_INTEGER - 2;

/** Receiver and sender of messages about writes to the log; never seen on a network. */
export const LOCAL_APPEND_THREAD: number = Number.MAX_SAFE_INTEGER;

/** Receiver and sender of messages about applied entries; never seen on a network. */
export const LOCAL_APPLY_THREAD: number = Number.MAX_SAFE_INTEGER - 1;

/** The largest index and the largest term: everything above could be rounded silently. */
export const MAX_INDEX: number = Number.MAX_SAFE_INTEGER - 1;

/**
 * Tells whether a value is a whole number in 0..2^53-1.
 *
 * @param value anything that came from outside
 */
export function isUint(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * Tells whether an id belongs to one of the two local storage threads.
 *
 * @param id a node id
 */
export function isLocalThread(id: NodeId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

/** Milliseconds for a read, all its attempts together. */
export const READ_DEADLINE_MS: number = 15_000;
/** Milliseconds for a write, all its attempts together: several elections long. */
export const WRITE_DEADLINE_MS: number = 30_000;
/**
 * Milliseconds of answers that there is no leader, one after the other, before a call gives up: three
 * of the longest elections. Without a quorum a person learns it now, not at the deadline of the call.
 */
export const NO_LEADER_MS_MAX: number = 6_000;
/** Milliseconds for a change to reach every running task in `waitForDelivery`. */
export const DELIVERY_DEADLINE_MS: number = 60_000;
/** Upper end of the first pause between attempts; it doubles up to the maximum. */
export const BACKOFF_FIRST_MS: number = 50;
/** Upper end of later pauses: under one election timeout, so that a new leader is met early. */
export const BACKOFF_MAX_MS: number = 1_000;
/** Attempts of one call, whatever the deadline. */
export const ATTEMPTS_MAX: number = 200;
/** Milliseconds between looks at the receipts when no event wakes the wait. */
export const DELIVERY_POLL_MS: number = 1_000;
/** Milliseconds between looks at the receipts however many events come. */
export const DELIVERY_POLL_MS_MIN: number = 40;
/**
 * Milliseconds for a reload to be reported by a task that was first seen with the new version
 * already there: it may have started with it, and then no reload comes.
 */
export const RELOAD_GRACE_MS: number = 5_000;
/** Milliseconds for which the answer of Cluster.GetInfo is kept for sealing values. */
export const INFO_AGE_MS_MAX: number = 60_000;
/** Bytes of randomness in a drawn idempotency key. */
export const IDEMPOTENCY_KEY_RANDOM_BYTES: number = 16;
/** Milliseconds for a manager to accept a connection before the next one is tried. */
export const DIAL_MS_MAX: number = 3_000;

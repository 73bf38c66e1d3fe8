/** Bounds and times of the dispatcher, each with its reason. */

/** Milliseconds a new stream may stay silent before its Hello. */
export const HELLO_WAIT_MS = 5_000;
/** Milliseconds for which a confirmation by the leader counts: two election timeouts at most. */
export const LEASE_MS = 2_000;
/** Milliseconds in which changes for one session gather into one assignment. */
export const GATHER_MS = 3;
/** Milliseconds in which reports of all sessions gather into one entry. */
export const REPORT_GATHER_MS = 10;
/** Reports in one entry. */
export const REPORTS_PER_ENTRY_MAX = 500;
/** Bytes of reports in one entry, which may be larger: what the log adds fits beside them. */
export const REPORT_BYTES_PER_ENTRY_MAX = 900_000;
/** Reports in one batch of one agent: as many as agents send, and fewer than fill an entry. */
export const REPORTS_PER_BATCH_MAX = 256;
/** Batches of one session that wait for a leader: as many as an agent has on their way. */
export const UNCONFIRMED_BATCHES_MAX = 4;
/** Reports waiting at one manager, and their bytes; above, sessions are read more slowly. */
export const REPORTS_WAITING_MAX = 20_000;
export const REPORT_BYTES_WAITING_MAX = 16_777_216;
/** Milliseconds that one report of a session takes of its time when it has sent many. */
export const REPORT_PACE_MS = 10;
/** Reports of a session that need not wait: of a node full of tasks that all start anew. */
export const REPORTS_BURST_MAX = 4_000;
/** Milliseconds between two attempts when the leader cannot be reached. */
export const RETRY_MS = 250;
/** Milliseconds between two lists of living sessions sent to the leader. */
export const BEAT_MS = 500;
/** Share by which the period that agents beat by may be off before all of them are told anew. */
export const PERIOD_DRIFT_MAX = 0.05;
/** Versions that an agent may say it holds. */
export const HELD_MAX = 10_000;
/** Assignments sent and not yet acknowledged by one agent. */
export const UNACKED_MAX = 8;
/** Requests for task output open at one session. */
export const LOG_REQUESTS_MAX = 16;
/** Bytes of output in one reply of an agent. */
export const LOG_PIECE_BYTES_MAX = 65_536;
/** Bytes of the other words of a reply. */
export const LOG_WORD_BYTES_MAX = 512;
/** Replies that wait for the reader of one request; then the request ends. */
export const LOG_REPLIES_WAITING_MAX = 64;
/** Bytes of replies that wait at one session for all of its readers. */
export const LOG_BYTES_WAITING_MAX = 8_388_608;
/** The only protocol version spoken. */
export const PROTOCOL = 1;
/** Ends of sessions that wait to be told to the leader; they matter to its log only. */
export const CLOSED_WAITING_MAX = 10_000;

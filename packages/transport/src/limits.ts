/** Every bound of the transport with its reason; relations are asserted in the package's tests. */
import { limits } from '@conclave/kernel';
import type { GateRates, Rate } from './gate-rates.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Connections of one listener, authenticated or not. */
export const CONNECTION_COUNT_MAX: number = 4_096;
/** Connections of one address that have not finished their handshake. */
export const PENDING_PER_ADDRESS_MAX: number = 32;
/** Connections of one identity: consensus, control and a new one while the old one drains. */
export const CONNECTIONS_PER_MANAGER_MAX: number = 12;
/** The session of an agent, a renewal, and both again while the old connection drains. */
export const CONNECTIONS_PER_WORKER_MAX: number = 4;
/** Commands that one administrator runs at the same time. */
export const CONNECTIONS_PER_ADMIN_MAX: number = 32;
/** Handshakes in progress: each costs about 2 ms of the loop that also sends heartbeats. */
export const HANDSHAKE_COUNT_MAX: number = 16;
/** Accepted connections that wait for a handshake; more are closed at once. */
export const HANDSHAKE_QUEUE_MAX: number = 256;
/** New connections on the cluster listener. All together may use half of the loop for handshakes. */
export const ACCEPT_RATES: GateRates = {
  address: { perSecond: 20, burst: 100 },
  total: { perSecond: 250, burst: 1_000 },
};
/** New connections on the join listener, which anybody can reach. */
export const JOIN_ACCEPT_RATES: GateRates = {
  address: { perSecond: 5, burst: 20 },
  total: { perSecond: 50, burst: 100 },
};
/** Remembered addresses; the one that has been quiet longest is forgotten. */
export const ADDRESS_COUNT_MAX: number = 4_096;

/** From accept to a finished handshake, waiting for a turn included. */
export const HANDSHAKE_MS_MAX: number = 5_000;
/** From a finished handshake to the first call. */
export const FIRST_CALL_MS_MAX: number = 5_000;
/** From the first header to the whole message of a call with one request message. */
export const REQUEST_READ_MS_MAX: number = 60_000;
/** For the handler of a call with one answer, when the caller names no earlier deadline. */
export const UNARY_MS_MAX: number = 120_000;
/** For one message to leave towards a reader that has stopped reading. */
export const STREAM_STALL_MS_MAX: number = 30_000;
/** From the status of a cut call to the end of its connection, when the peer does not react. */
export const CUT_GRACE_MS: number = 200;
/** Open calls may finish for so long when a listener closes. */
export const CLOSE_GRACE_MS: number = 2_000;

/** Keepalive pings: period, and how long an answer may take. */
export const KEEPALIVE_MS: number = 20_000;
export const KEEPALIVE_ANSWER_MS: number = 10_000;
/** A connection without calls is closed. */
export const IDLE_MS_MAX: number = 300_000;
/** A connection is renewed after this, plus or minus 10 %, so that none outlives its certificate. */
export const CONNECTION_AGE_MS_MAX: number = 3_600_000;
/** Long streams move to the new connection in this time. */
export const CONNECTION_AGE_GRACE_MS: number = 60_000;
/** A join takes two calls. */
export const JOIN_CONNECTION_AGE_MS_MAX: number = 60_000;

/** Streams of one connection. */
export const STREAMS_PER_CONNECTION_MAX: number = 64;
/** Calls at once over one connection of a worker, which has a session, a renewal and little else. */
export const CALLS_PER_WORKER_MAX: number = 8;
/**
 * Calls that the peer of one connection gives up before they were answered: each costs what a call
 * costs, and nobody waits for it. Less than what Node's HTTP/2 stops at by itself, which leaves the
 * connection open; more than all streams at once.
 */
export const CANCEL_RATE: Rate = { perSecond: 20, burst: 300 };
export const WORKER_CANCEL_RATE: Rate = { perSecond: 2, burst: 40 };
/** Bytes of all metadata of a call. */
export const METADATA_BYTES_MAX: number = 16 * KIB;
/** Bytes of one message, either way: a sealed value of the largest size and its fields. */
export const MESSAGE_BYTES_MAX: number = limits.REQUEST_BYTES_MAX;
/** Bytes of one message on the join listener: keys, a signature and names. */
export const JOIN_MESSAGE_BYTES_MAX: number = 64 * KIB;
/** What one connection may hold in Node's HTTP/2 layer. A message has to fit, with some room. */
export const SESSION_MEMORY_MIB_MAX: number = 16;
/** Bytes on their way to a reader before a writer waits. */
export const STREAM_WINDOW_BYTES: number = 256 * KIB;
/** Bytes on their way to a reader, of a writer that does not wait, before the call is cut. */
export const STREAM_QUEUE_BYTES_MAX: number = limits.STREAM_QUEUE_BYTES_MAX;

/** Pause before the first and at most before a later attempt to connect again. */
export const RECONNECT_MS_MIN: number = 200;
export const RECONNECT_MS_MAX: number = 5_000;
/** Default deadline of a call with one answer. */
export const CALL_MS_DEFAULT: number = 30_000;

/** A message of the largest size has to fit into the memory of a session. */
export const SESSION_MEMORY_BYTES_MAX: number = SESSION_MEMORY_MIB_MAX * MIB;

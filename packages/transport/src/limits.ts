/** Every bound of the transport with its reason; relations are asserted in the package's tests. */
import { limits } from '@conclave/kernel';
import type { GateRules, LaneRules, Rate } from './gate-rates.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Connections of one listener from addresses without and with a history, authenticated or not. */
export const CONNECTION_COUNT_MAX: number = 4_096;
/** The same from addresses of managers; each has a few, and a new one while an old one drains. */
export const MANAGER_CONNECTION_COUNT_MAX: number = 256;
/** Connections of the join listener, where nobody is ever known: each may hold little, for a minute. */
export const JOIN_CONNECTION_COUNT_MAX: number = 1_024;
/**
 * Connections of one address that have not finished their handshake. Where it proves nothing, on the
 * join listener, they count until they close.
 */
export const PENDING_PER_ADDRESS_MAX: number = 32;
/** Connections of one identity: consensus, control and a new one while the old one drains. */
export const CONNECTIONS_PER_MANAGER_MAX: number = 12;
/** The session of an agent, a renewal, and both again while the old connection drains. */
export const CONNECTIONS_PER_WORKER_MAX: number = 4;
/** Commands that one administrator runs at the same time. */
export const CONNECTIONS_PER_ADMIN_MAX: number = 32;
/** Connections of one identity by certificates that do not count: enough to be told so. */
export const CONNECTIONS_REFUSED_MAX: number = 2;
/**
 * A handshake that does not go on gives its place to the next after this, and has until its deadline
 * all the same: it costs the loop nothing while it waits.
 */
export const HANDSHAKE_TURN_MS: number = 250;
/** Nobody comes this way. */
const NO_LANE: LaneRules = {
  rate: { perSecond: 0, burst: 0 },
  handshakeCountMax: 0,
  waitingCountMax: 0,
  connectionCountMax: 0,
};
/**
 * The cluster listener. A handshake costs about 2 ms of the loop that also sends heartbeats: all
 * lanes together may use half of it in the long run, and have 16 in progress.
 */
export const ACCEPT_RULES: GateRules = {
  address: { perSecond: 20, burst: 100 },
  isAnonymous: false,
  lanes: {
    manager: {
      rate: { perSecond: 25, burst: 100 },
      handshakeCountMax: 4,
      waitingCountMax: 32,
      connectionCountMax: MANAGER_CONNECTION_COUNT_MAX,
    },
    known: {
      rate: { perSecond: 75, burst: 300 },
      handshakeCountMax: 4,
      waitingCountMax: 128,
      connectionCountMax: CONNECTION_COUNT_MAX,
    },
    new: {
      rate: { perSecond: 150, burst: 600 },
      handshakeCountMax: 8,
      waitingCountMax: 256,
      connectionCountMax: CONNECTION_COUNT_MAX,
    },
  },
};
/** The join listener, which anybody can reach and where nobody has a history. */
export const JOIN_ACCEPT_RULES: GateRules = {
  address: { perSecond: 5, burst: 20 },
  isAnonymous: true,
  lanes: {
    manager: NO_LANE,
    known: NO_LANE,
    new: {
      rate: { perSecond: 50, burst: 100 },
      handshakeCountMax: 8,
      waitingCountMax: 64,
      connectionCountMax: JOIN_CONNECTION_COUNT_MAX,
    },
  },
};
/** Remembered addresses of managers: of those listed, where they came from before, and after a move. */
export const MANAGER_ADDRESS_COUNT_MAX: number = 64;
/** Remembered addresses; the one that has been quiet longest is forgotten. */
export const ADDRESS_COUNT_MAX: number = 4_096;

/** From accept to a finished handshake, waiting for a turn included. */
export const HANDSHAKE_MS_MAX: number = 5_000;
/** From a finished handshake to the first call. */
export const FIRST_CALL_MS_MAX: number = 5_000;
/** From the first header to the whole message of a call with one request message. */
export const REQUEST_READ_MS_MAX: number = 60_000;
/** The same for who wants to join: it sends a few kilobytes. */
export const JOIN_REQUEST_READ_MS_MAX: number = 5_000;
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
/** A join takes two calls; the last one to begin has `CALL_MS_DEFAULT`. */
export const JOIN_CONNECTION_AGE_MS_MAX: number = 30_000;
export const JOIN_CONNECTION_AGE_GRACE_MS: number = 10_000;

/** Streams of one connection. */
export const STREAMS_PER_CONNECTION_MAX: number = 64;
/** Streams of one connection of the join listener: a join makes one call after the other. */
export const JOIN_STREAMS_PER_CONNECTION_MAX: number = 2;
/** Streams at once over one connection of a worker: a session, a renewal and little else. */
export const STREAMS_PER_WORKER_MAX: number = 8;
/** Frames that no peer of good will sends, over the life of a connection. */
export const INVALID_FRAMES_MAX: number = 10;
/** Streams that were opened against the settings, before the connection ends. */
export const REJECTED_STREAMS_MAX: number = 100;
/** Callers whose budgets are remembered; the one that has been quiet longest is forgotten. */
export const CALLER_COUNT_MAX: number = 10_000;
/**
 * Calls of one worker over all its connections: a session now and then, its role every few seconds,
 * a certificate twice a day.
 */
export const WORKER_CALL_RATE: Rate = { perSecond: 5, burst: 120 };
/** Calls of one administrator: scripts that make many. */
export const ADMIN_CALL_RATE: Rate = { perSecond: 200, burst: 2_000 };
/** Calls for the own identity that end in an entry of the log and a signature with the root. */
export const IDENTITY_CHANGE_RATE: Rate = { perSecond: 0.2, burst: 20 };
/**
 * Joins, and new certificates for ended ones, of one address, and of all together. More than its
 * connections: what was let in by the gate and comes late all at once is not refused here.
 */
export const JOIN_RATE: Rate = { perSecond: 5, burst: 30 };
export const JOIN_RATE_TOTAL: Rate = { perSecond: 50, burst: 100 };
/** All calls of one address on the join listener, two for each join, and of all together. */
export const JOIN_CALL_RATE: Rate = { perSecond: 10, burst: 60 };
export const JOIN_CALL_RATE_TOTAL: Rate = { perSecond: 200, burst: 500 };
/** Bytes of requests that one worker has sent and that are not complete or not answered. */
export const WORKER_HELD_BYTES_MAX: number = 4 * MIB;
/** The same for an administrator: some of the largest values at a time. */
export const ADMIN_HELD_BYTES_MAX: number = 32 * MIB;
/**
 * Calls that the peer of one connection gives up before they were answered, and streams that were
 * refused: each costs what a call costs, and nobody waits for it. Less than what Node's HTTP/2 stops
 * at by itself, which leaves the connection open; more than all streams at once.
 */
export const CANCEL_RATE: Rate = { perSecond: 20, burst: 300 };
export const WORKER_CANCEL_RATE: Rate = { perSecond: 2, burst: 40 };
/** Bytes of the header list of a call, as HTTP/2 counts it; above, the stream is reset unread. */
export const METADATA_BYTES_MAX: number = 16 * KIB;
/** Bytes of one message, either way: a sealed value of the largest size and its fields. */
export const MESSAGE_BYTES_MAX: number = limits.REQUEST_BYTES_MAX;
/** Bytes of a request unless its method has reason for more. */
export const REQUEST_BYTES_DEFAULT: number = 64 * KIB;
/** Bytes of the description of a service: command, variables and 200 bindings with long names. */
export const SERVICE_BYTES_MAX: number = 512 * KIB;
/** Bytes of what an agent says at once: its tasks and the 10 000 versions that it holds. */
export const SESSION_BYTES_MAX: number = 2 * MIB;
/** Bytes of one message on the join listener: keys, certificates, a signature and names. */
export const JOIN_MESSAGE_BYTES_MAX: number = 16 * KIB;
/**
 * What one connection may hold in Node's HTTP/2 layer. The largest message has to fit, with some
 * room, because it is given to that layer in one piece.
 */
export const SESSION_MEMORY_MIB_MAX: number = 16;
/** The same on the join listener. */
export const JOIN_SESSION_MEMORY_MIB_MAX: number = 1;
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

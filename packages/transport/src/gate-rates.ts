/** How many in the long run, and how many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * From where a connection comes: the address of a manager; one from which somebody has presented a
 * certificate that counted; any other. Each has room of its own, so that strangers, however many,
 * neither keep managers apart nor lock out who was here before.
 */
export type Lane = 'manager' | 'known' | 'new';

/** What one lane may use. */
export interface LaneRules {
  /** New connections of the lane. */
  readonly rate: Rate;
  /** Handshakes in progress. */
  readonly handshakeCountMax: number;
  /** Connections that wait for a handshake; more are closed at once. */
  readonly waitingCountMax: number;
  /** Open connections. */
  readonly connectionCountMax: number;
}

/** What a listener takes in. */
export interface GateRules {
  /** Of one address; of one network of 64 bits with IPv6, where a host has all of it. */
  readonly address: Rate;
  readonly lanes: Readonly<Record<Lane, LaneRules>>;
  /** Connections of an address count as pending until they close: nobody ever proves anything. */
  readonly isAnonymous: boolean;
}

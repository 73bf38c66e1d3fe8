import type { Clock } from '@conclave/kernel';
import { Bucket } from './bucket.js';
import type { GateRules, Lane } from './gate-rates.js';
import * as limits from './limits.js';

/** Why a connection is closed before its handshake. */
export type GateRefusal = 'rate' | 'connections' | 'pending';

interface AddressState {
  readonly bucket: Bucket;
  pending: number;
}

const NETWORK_GROUPS = 4;

/** An address of a socket without its link, and as IPv4 when it is IPv4 written as IPv6. */
export function plainAddress(address: string): string {
  return /^::ffff:([0-9.]+)$/i.exec(address)?.[1] ?? address.split('%')[0] ?? '';
}

/** What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function rateUnit(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const tailGroups = tail === '' ? [] : tail.split(':');
    while (groups.length + tailGroups.length < 8) groups.push('0');
    groups.push(...tailGroups);
  }
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

interface LaneState {
  readonly bucket: Bucket;
  connectionCount: number;
}

/**
 * Decides which connections are worth a handshake: a rate per address and of its lane, then the
 * number of open connections of the lane, then the unfinished ones of the address. Addresses in
 * memory are bounded; one with unfinished connections is never forgotten.
 */
export class AcceptGate {
  readonly #clock: Clock;
  readonly #rules: GateRules;
  readonly #lanes: Readonly<Record<Lane, LaneState>>;
  readonly #addresses = new Map<string, AddressState>();

  constructor(clock: Clock, rules: GateRules) {
    this.#clock = clock;
    this.#rules = rules;
    const now = clock.monotonic();
    const state = (lane: Lane): LaneState => ({
      bucket: new Bucket(rules.lanes[lane].rate, now),
      connectionCount: 0,
    });
    this.#lanes = { manager: state('manager'), known: state('known'), new: state('new') };
  }

  get connectionCount(): number {
    const { manager, known, new: others } = this.#lanes;
    return manager.connectionCount + known.connectionCount + others.connectionCount;
  }

  /** Counts the connection when it returns `undefined`; then `settled` and `closed` are owed. */
  admit(address: string, lane: Lane): GateRefusal | undefined {
    const now = this.#clock.monotonic();
    const state = this.#stateOf(rateUnit(address), now);
    const { bucket, connectionCount } = this.#lanes[lane];
    // The address first: one that is too fast must not use up what all share.
    if (!state.bucket.take(now) || !bucket.take(now)) return 'rate';
    if (connectionCount >= this.#rules.lanes[lane].connectionCountMax) return 'connections';
    if (state.pending >= limits.PENDING_PER_ADDRESS_MAX) return 'pending';
    state.pending += 1;
    this.#lanes[lane].connectionCount += 1;
    return undefined;
  }

  /** The handshake of an admitted connection is over, well or not. Once per connection. */
  settled(address: string): void {
    if (!this.#rules.isAnonymous) this.#settle(address);
  }

  /** An admitted connection is closed. Once per connection. */
  closed(address: string, lane: Lane): void {
    this.#lanes[lane].connectionCount -= 1;
    if (this.#rules.isAnonymous) this.#settle(address);
  }

  #settle(address: string): void {
    const state = this.#addresses.get(rateUnit(address));
    if (state !== undefined && state.pending > 0) state.pending -= 1;
  }

  #stateOf(unit: string, now: number): AddressState {
    const known = this.#addresses.get(unit);
    if (known === undefined && this.#addresses.size >= limits.ADDRESS_COUNT_MAX) {
      this.#forgetQuietest();
    }
    const state = known ?? { bucket: new Bucket(this.#rules.address, now), pending: 0 };
    // A map keeps the order of insertion: the quietest address stays in front.
    this.#addresses.delete(unit);
    this.#addresses.set(unit, state);
    return state;
  }

  #forgetQuietest(): void {
    for (const [unit, state] of this.#addresses) {
      if (state.pending > 0) continue;
      this.#addresses.delete(unit);
      return;
    }
  }
}

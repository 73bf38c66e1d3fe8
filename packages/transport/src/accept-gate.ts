import type { Clock } from '@conclave/kernel';
import * as limits from './limits.js';

/** Why a connection is closed before its handshake. */
export type GateRefusal = 'rate' | 'connections' | 'pending';

/** Rates of one listener. */
export interface GateRates {
  /** New connections per second of one address, in the long run. */
  readonly perSecond: number;
  /** New connections of one address at once. */
  readonly burst: number;
}

interface AddressState {
  tokens: number;
  refilledAt: number;
  pending: number;
}

/**
 * Decides which connections are worth a handshake: a rate per address, then the number of all
 * connections, then the unfinished ones of the address. Addresses in memory are bounded; one with
 * unfinished connections is never forgotten.
 */
export class AcceptGate {
  readonly #clock: Clock;
  readonly #rates: GateRates;
  readonly #addresses = new Map<string, AddressState>();
  #connectionCount = 0;

  constructor(clock: Clock, rates: GateRates) {
    this.#clock = clock;
    this.#rates = rates;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Counts the connection when it returns `undefined`; then `settled` and `closed` are owed. */
  admit(address: string): GateRefusal | undefined {
    const state = this.#stateOf(address);
    if (state.tokens < 1) return 'rate';
    state.tokens -= 1;
    if (this.#connectionCount >= limits.CONNECTION_COUNT_MAX) return 'connections';
    if (state.pending >= limits.PENDING_PER_ADDRESS_MAX) return 'pending';
    state.pending += 1;
    this.#connectionCount += 1;
    return undefined;
  }

  /** The handshake of an admitted connection is over, well or not. Once per connection. */
  settled(address: string): void {
    const state = this.#addresses.get(address);
    if (state !== undefined && state.pending > 0) state.pending -= 1;
  }

  /** An admitted connection is closed. Once per connection. */
  closed(): void {
    this.#connectionCount -= 1;
  }

  #stateOf(address: string): AddressState {
    const now = this.#clock.monotonic();
    const known = this.#addresses.get(address);
    if (known === undefined) return this.#remember(address, now);
    const gained = ((now - known.refilledAt) / 1_000) * this.#rates.perSecond;
    known.tokens = Math.min(this.#rates.burst, known.tokens + gained);
    known.refilledAt = now;
    // A map keeps the order of insertion: the quietest address stays in front.
    this.#addresses.delete(address);
    this.#addresses.set(address, known);
    return known;
  }

  #remember(address: string, now: number): AddressState {
    if (this.#addresses.size >= limits.ADDRESS_COUNT_MAX) this.#forgetQuietest();
    const state = { tokens: this.#rates.burst, refilledAt: now, pending: 0 };
    this.#addresses.set(address, state);
    return state;
  }

  #forgetQuietest(): void {
    for (const [address, state] of this.#addresses) {
      if (state.pending > 0) continue;
      this.#addresses.delete(address);
      return;
    }
  }
}

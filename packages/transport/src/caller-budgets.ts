import type { Clock } from '@conclave/kernel';
import { rateUnit } from './accept-gate.js';
import { Bucket } from './bucket.js';
import type { Rate } from './gate-rates.js';
import * as limits from './limits.js';
import type { Peer } from './peer.js';

/**
 * What calls cost whom: a certificate's holder in its role now, or an address without one. A
 * certificate that does not count is kept apart: it was stolen before it was replaced, perhaps, and
 * must not use up the ration of who has the one that counts, nor have that of a manager.
 */
export type CallerKind = 'manager' | 'worker' | 'admin' | 'refused' | 'anonymous' | 'local';

interface Allowance {
  readonly calls: Rate;
  /** Calls for the own identity, each of which may end in an entry of the log. */
  readonly changes: Rate;
  readonly heldBytesMax: number;
}

const UNBOUNDED: Rate = { perSecond: 0, burst: Infinity };
/** Consensus must never wait for a ration, and whoever opens the socket of a host has the host. */
const TRUSTED: Allowance = { calls: UNBOUNDED, changes: UNBOUNDED, heldBytesMax: Infinity };

const WORKER: Allowance = {
  calls: limits.WORKER_CALL_RATE,
  changes: limits.IDENTITY_CHANGE_RATE,
  heldBytesMax: limits.WORKER_HELD_BYTES_MAX,
};

const ALLOWANCES: Readonly<Record<CallerKind, Allowance>> = {
  manager: TRUSTED,
  local: TRUSTED,
  worker: WORKER,
  refused: WORKER,
  admin: {
    calls: limits.ADMIN_CALL_RATE,
    changes: limits.IDENTITY_CHANGE_RATE,
    heldBytesMax: limits.ADMIN_HELD_BYTES_MAX,
  },
  // Its messages are few and small by the settings of the listener.
  anonymous: {
    calls: limits.JOIN_CALL_RATE,
    changes: limits.JOIN_RATE,
    heldBytesMax: Infinity,
  },
};

const STRANGERS: Allowance = {
  calls: limits.JOIN_CALL_RATE_TOTAL,
  changes: limits.JOIN_RATE_TOTAL,
  heldBytesMax: Infinity,
};

/** Methods whose calls are rationed as changes. */
const CHANGES: ReadonlySet<string> = new Set([
  '/conclave.v1.Identity/BecomeManager',
  '/conclave.v1.Identity/ConfirmRoots',
  '/conclave.v1.Identity/Leave',
  '/conclave.v1.Identity/Renew',
  '/conclave.v1.Join/Join',
  '/conclave.v1.Join/Recover',
]);

/** What one caller has left, over all its connections. */
export class CallerBudget {
  readonly #calls: Bucket;
  readonly #changes: Bucket;
  readonly #heldBytesMax: number;
  #heldBytes = 0;

  constructor({ calls, changes, heldBytesMax }: Allowance, now: number) {
    this.#calls = new Bucket(calls, now);
    this.#changes = new Bucket(changes, now);
    this.#heldBytesMax = heldBytesMax;
  }

  /** True while requests of this caller are in memory. */
  get isHolding(): boolean {
    return this.#heldBytes > 0;
  }

  /** True when a call may begin. A refused one has its price too. */
  take(path: string, now: number): boolean {
    return this.#calls.take(now) && (!CHANGES.has(path) || this.#changes.take(now));
  }

  /**
   * Counts `delta` more, or fewer, bytes of requests that are incomplete or not answered; false when
   * they are too many. What was counted is to be taken back in either case.
   */
  hold(delta: number): boolean {
    this.#heldBytes += delta;
    return this.#heldBytes <= this.#heldBytesMax;
  }
}

function keyOf(peer: Peer, kind: CallerKind): string {
  switch (peer.kind) {
    case 'certificate':
      return `${kind}/${peer.identity.kind}/${peer.identity.id}`;
    case 'anonymous':
      return `${kind}/${rateUnit(peer.address)}`;
    case 'local':
      return kind;
  }
}

/** The budgets of all callers of a listener, of a bounded number of them. */
export class CallerBudgets {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, CallerBudget>();
  /** What all callers without a certificate share. */
  readonly #strangers: CallerBudget;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#strangers = new CallerBudget(STRANGERS, clock.monotonic());
  }

  /** The budget of a caller; the same as long as it is in use. */
  of(peer: Peer, kind: CallerKind): CallerBudget {
    const key = keyOf(peer, kind);
    const known = this.#byKey.get(key);
    if (known === undefined && this.#byKey.size >= limits.CALLER_COUNT_MAX) this.#forgetQuietest();
    const budget = known ?? new CallerBudget(ALLOWANCES[kind], this.#clock.monotonic());
    // A map keeps the order of insertion: the quietest caller stays in front.
    this.#byKey.delete(key);
    this.#byKey.set(key, budget);
    return budget;
  }

  /** True when a call of this caller may begin now. */
  take(peer: Peer, kind: CallerKind, path: string): boolean {
    const now = this.#clock.monotonic();
    // The caller first: one that is too fast must not use up what all share.
    if (!this.of(peer, kind).take(path, now)) return false;
    return kind !== 'anonymous' || this.#strangers.take(path, now);
  }

  #forgetQuietest(): void {
    for (const [key, budget] of this.#byKey) {
      if (budget.isHolding) continue;
      this.#byKey.delete(key);
      return;
    }
  }
}

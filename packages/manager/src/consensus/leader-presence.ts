import type { Clock } from '@conclave/kernel';

/** Milliseconds that a call waits for a leader: as long as an ordinary election takes. */
export const LEADER_WAIT_MS = 2_500;

/** Since when no leader is known: an election is waited for, a lost quorum is told at once. */
export class LeaderPresence {
  readonly #clock: Clock;
  #absentSinceMs: number | undefined;

  /** Nobody leads yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#absentSinceMs = clock.monotonic();
  }

  /** Takes note of who leads; 0: nobody that is known. */
  see(leader: number): void {
    if (leader !== 0) this.#absentSinceMs = undefined;
    else this.#absentSinceMs ??= this.#clock.monotonic();
  }

  /** Milliseconds that waiting is worth now; 0 when there was no leader for longer than an election. */
  get patienceMs(): number {
    if (this.#absentSinceMs === undefined) return LEADER_WAIT_MS;
    return Math.max(0, LEADER_WAIT_MS - (this.#clock.monotonic() - this.#absentSinceMs));
  }
}

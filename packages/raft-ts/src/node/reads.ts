import type { BasicStatus, Index, NodeId, ReadState, Term, Ticks } from '../index.js';
import { onAbort } from './abort.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import type { ProposalIds } from './proposal-ids.js';
import type { CancelSignal } from './types.js';

interface Reader {
  readonly resolve: (index: Index) => void;
  readonly reject: (error: DriverError) => void;
}

interface Round {
  readonly sequence: number;
  readonly readers: Set<Reader>;
  age: Ticks;
}

interface Confirmed {
  readonly index: Index;
  readonly readers: Set<Reader>;
}

const NO_PAYLOAD = new Uint8Array(0);

/**
 * Linearizable reads.
 *
 * One round of messages confirms all reads that waited when it began; those that come later share
 * the next one. A round that is not answered within an election timeout, or during which the
 * leader changed, is repeated under a new context, together with everybody who waits by then.
 */
export class Reads {
  readonly #context: MemberContext;
  readonly #ids: ProposalIds;
  readonly #applied: () => Index;
  #waiting = new Set<Reader>();
  #round: Round | undefined;
  #confirmed: Confirmed[] = [];
  #count = 0;
  #term: Term = 0;
  #leader: NodeId = 0;

  /**
   * @param context the member
   * @param ids shared with everybody who needs unique ids in this life of the member
   * @param applied last index the state machine has taken in
   */
  constructor(context: MemberContext, ids: ProposalIds, applied: () => Index) {
    this.#context = context;
    this.#ids = ids;
    this.#applied = applied;
  }

  /** Reads that wait. */
  get count(): number {
    return this.#count;
  }

  /** See `Node.linearizableRead`. */
  async read(signal: CancelSignal | undefined): Promise<Index> {
    if (!this.#context.isAccepting()) throw readFailed('stopped');
    if (signal?.aborted === true) throw readFailed('aborted');
    if (this.#count >= this.#context.options.limits.readsPendingMax) {
      throw readFailed('tooManyPending');
    }
    this.#count += 1;
    let detach: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const reader = { resolve, reject };
        this.#waiting.add(reader);
        detach = onAbort(signal, () => {
          this.#forget(reader);
          reject(readFailed('aborted'));
        });
        this.#context.wake();
      });
    } finally {
      detach?.();
      this.#count -= 1;
    }
  }

  /** Starts the next round if somebody waits and none is going on. */
  handOver(): void {
    if (this.#round !== undefined || this.#waiting.size === 0) return;
    // Without a leader the core would drop the request; `observe` tells when there is one.
    if (this.#context.raw.basicStatus().lead === 0) return;
    const sequence = this.#ids.next();
    this.#round = { sequence, readers: this.#waiting, age: 0 };
    this.#waiting = new Set();
    this.#context.raw.readIndex(this.#ids.wrap(sequence, NO_PAYLOAD));
  }

  /** Takes answers from a Ready, and notices a change of the leader. */
  observe(readStates: readonly ReadState[], status: BasicStatus): void {
    for (const { index, requestCtx } of readStates) {
      const round = this.#round;
      if (round === undefined || this.#ids.sequenceOf(requestCtx) !== round.sequence) continue;
      this.#round = undefined;
      this.#confirmed.push({ index, readers: round.readers });
      this.#context.wake();
    }
    this.advanced(this.#applied());
    if (status.term === this.#term && status.lead === this.#leader) return;
    this.#term = status.term;
    this.#leader = status.lead;
    this.#repeat();
  }

  /** Ages the round that is going on. */
  tick(): void {
    if (this.#round === undefined) return;
    this.#round.age += 1;
    if (this.#round.age >= this.#context.options.electionTick) this.#repeat();
  }

  /** Lets reads go whose index is applied. */
  advanced(index: Index): void {
    if (this.#confirmed.length === 0) return;
    const later: Confirmed[] = [];
    for (const confirmed of this.#confirmed) {
      if (confirmed.index > index) later.push(confirmed);
      else for (const reader of confirmed.readers) reader.resolve(confirmed.index);
    }
    this.#confirmed = later;
  }

  /** Ends all waiting because the member stops. */
  close(): void {
    const groups = [this.#waiting, this.#round?.readers, ...this.#confirmed.map((c) => c.readers)];
    for (const readers of groups) {
      for (const reader of readers ?? []) reader.reject(readFailed('stopped'));
    }
    this.#waiting = new Set();
    this.#round = undefined;
    this.#confirmed = [];
  }

  /** The answer to the old context, should it still come, is ignored. */
  #repeat(): void {
    if (this.#round !== undefined) {
      for (const reader of this.#waiting) this.#round.readers.add(reader);
      this.#waiting = this.#round.readers;
      this.#round = undefined;
    }
    if (this.#waiting.size > 0) this.#context.wake();
  }

  #forget(reader: Reader): void {
    this.#waiting.delete(reader);
    this.#round?.readers.delete(reader);
    for (const { readers } of this.#confirmed) readers.delete(reader);
  }
}

function readFailed(reason: string): DriverError {
  return new DriverError('REJECTED', `the read was not confirmed: ${reason}`, { reason });
}

import { decodeConfChange, encodeConfChange, message, ProposalDroppedError } from '../index.js';
import type {
  BasicStatus,
  Bytes,
  ConfChange,
  ConfState,
  Entry,
  Index,
  Term,
  Ticks,
} from '../index.js';
import { onAbort } from './abort.js';
import type { MemberContext } from './context.js';
import type { ProposalIds } from './proposal-ids.js';
import type { CancelSignal, ProposalResult, RejectReason, UnknownReason } from './types.js';

interface Pending {
  readonly sequence: number;
  readonly entry: Pick<Entry, 'type' | 'data'>;
  readonly settle: (result: ProposalResult) => void;
  /** Term of the leadership that took it; 0: still in the queue. */
  term: Term;
  /** Where the core put it; 0: not known. */
  index: Index;
  /** Ticks that are left since leadership was lost; Infinity: it was not. */
  ticksLeft: Ticks;
}

/**
 * Proposals from the call until their outcome is known.
 *
 * Proposals of one round go to the core as one message, so that each follower gets one append. They
 * are recognized by the id in their payload: first among the new entries of the Ready that follows,
 * which tells the index, then among the applied ones.
 *
 * After leadership is lost a proposal may still be committed by a later leader. It is waited for
 * until another entry is applied at its index (it was superseded, for good), a snapshot covers the
 * index, or two election timeouts have passed (nobody knows).
 */
export class Proposals {
  readonly #context: MemberContext;
  readonly #ids: ProposalIds;
  readonly #pending = new Map<number, Pending>();
  #queue: Pending[] = [];
  /** Changes the core took since the last Ready, maybe as empty entries. */
  #changesTaken: Pending[] = [];
  #lostCount = 0;
  #term: Term = 0;

  /**
   * @param context the member
   * @param ids shared with everybody who needs unique ids in this life of the member
   */
  constructor(context: MemberContext, ids: ProposalIds) {
    this.#context = context;
    this.#ids = ids;
  }

  /** Proposals without an outcome. */
  get count(): number {
    return this.#pending.size;
  }

  /** Proposes a command. Never rejects. */
  propose(data: Uint8Array, signal: CancelSignal | undefined): Promise<ProposalResult> {
    if (data.length > this.#context.options.limits.proposalSizeMax) return rejected('tooLarge');
    return this.#add(signal, (sequence) => ({
      type: 'EntryNormal',
      data: this.#ids.wrap(sequence, data),
    }));
  }

  /** Proposes a change of the configuration; the value of `applied` is a ConfState. */
  proposeConfChange(change: ConfChange, signal: CancelSignal | undefined): Promise<ProposalResult> {
    const size = change.context?.length ?? 0;
    if (size > this.#context.options.limits.proposalSizeMax) return rejected('tooLarge');
    return this.#add(signal, (sequence) =>
      encodeConfChange(this.#ids.wrapContext(sequence, change)),
    );
  }

  /** Gives what was queued to the core. The next Ready must be passed to `observe`. */
  handOver(): void {
    const queue = this.#queue.filter((pending) => this.#pending.has(pending.sequence));
    this.#queue = [];
    let from = 0;
    while (from < queue.length) {
      const to = this.#endOfBatch(queue, from);
      this.#step(queue.slice(from, to));
      from = to;
    }
  }

  /**
   * Learns from a Ready where proposals ended up, and whether leadership goes on.
   *
   * Leadership cannot end between `handOver` and the Ready after it. So every proposal that the
   * core took is among the new entries, and a change that is not was turned into an empty entry.
   */
  observe(entries: readonly Entry[], status: BasicStatus): void {
    for (const entry of entries) {
      const pending = this.#own(entry);
      if (pending !== undefined && pending.term === entry.term) pending.index = entry.index;
    }
    const term = status.raftState === 'StateLeader' ? status.term : 0;
    if (term !== this.#term) this.#loseLeadership(term);
    this.#term = term;
    for (const pending of this.#changesTaken) {
      if (pending.index === 0) this.#settle(pending, { outcome: 'rejected', reason: 'refused' });
    }
    this.#changesTaken = [];
  }

  /** A command was applied. */
  applied(entry: Entry, value: unknown): void {
    const pending = this.#own(entry);
    if (pending === undefined) return;
    this.#settle(pending, { outcome: 'applied', index: entry.index, value });
  }

  /** A change of the configuration was applied. */
  confChanged(entry: Entry, confState: ConfState): void {
    this.applied(entry, confState);
  }

  /** Everything up to `index` is applied: what is still open there was superseded. */
  advanced(index: Index): void {
    if (this.#lostCount === 0) return;
    for (const pending of this.#pending.values()) {
      if (pending.index === 0 || pending.index > index) continue;
      this.#settle(pending, { outcome: 'rejected', reason: 'superseded' });
    }
  }

  /** The state was replaced up to `index`, with or without these proposals. */
  restored(index: Index): void {
    for (const pending of this.#pending.values()) {
      if (pending.term === 0 || pending.index > index) continue;
      this.#settle(pending, { outcome: 'unknown', reason: 'leadershipLost' });
    }
  }

  /** Gives up waiting when the time after a loss of leadership is over. */
  tick(): void {
    if (this.#lostCount === 0) return;
    for (const pending of this.#pending.values()) {
      pending.ticksLeft -= 1;
      if (pending.ticksLeft > 0) continue;
      this.#settle(pending, { outcome: 'unknown', reason: 'leadershipLost' });
    }
  }

  /** Refuses what the core has not got yet, because the member stops. */
  closeQueue(): void {
    for (const pending of this.#queue) this.#giveUp(pending, 'stopped');
    this.#queue = [];
  }

  /** Ends all waiting because the member stops. */
  close(): void {
    for (const pending of this.#pending.values()) this.#giveUp(pending, 'stopped');
    this.#queue = [];
    this.#changesTaken = [];
  }

  #add(
    signal: CancelSignal | undefined,
    make: (sequence: number) => Pick<Entry, 'type' | 'data'>,
  ): Promise<ProposalResult> {
    if (!this.#context.isAccepting()) return rejected('stopped');
    if (signal?.aborted === true) return rejected('aborted');
    if (this.#pending.size >= this.#context.options.limits.proposalsPendingMax) {
      return rejected('tooManyPending');
    }
    const status = this.#context.raw.basicStatus();
    if (status.raftState !== 'StateLeader') {
      return rejected(status.lead === 0 ? 'noLeader' : 'forwardingDisabled');
    }
    const sequence = this.#ids.next();
    const entry = make(sequence);
    return new Promise((resolve) => {
      const detach = onAbort(signal, () => {
        this.#giveUp(pending, 'aborted');
      });
      const settle = (result: ProposalResult): void => {
        detach();
        resolve(result);
      };
      const pending = { sequence, entry, settle, term: 0, index: 0, ticksLeft: Infinity };
      this.#pending.set(sequence, pending);
      this.#queue.push(pending);
      this.#context.wake();
    });
  }

  #endOfBatch(queue: readonly Pending[], from: number): number {
    const { messageSizeMax } = this.#context.options.limits;
    let size: Bytes = 0;
    for (let i = from; i < queue.length; i++) {
      size += queue[i]!.entry.data.length;
      if (i > from && size > messageSizeMax) return i;
    }
    return queue.length;
  }

  #step(batch: readonly Pending[]): void {
    const { raw, options } = this.#context;
    const entries = batch.map(({ entry }) => ({ ...entry, term: 0, index: 0 }));
    try {
      raw.step(message('MsgProp', { from: options.id, to: options.id, entries }));
    } catch (error) {
      if (!(error instanceof ProposalDroppedError)) throw error;
      if (batch.length > 1 && error.reason === 'uncommittedLimit') {
        // The batch is refused as a whole although some of it may fit.
        for (const pending of batch) this.#step([pending]);
        return;
      }
      for (const pending of batch) {
        this.#settle(pending, { outcome: 'rejected', reason: error.reason });
      }
      return;
    }
    const { term } = raw.basicStatus();
    for (const pending of batch) {
      pending.term = term;
      if (pending.entry.type !== 'EntryNormal') this.#changesTaken.push(pending);
    }
  }

  #own(entry: Entry): Pending | undefined {
    if (this.#pending.size === 0 || entry.data.length === 0) return undefined;
    const id =
      entry.type === 'EntryNormal' ? entry.data : (decodeConfChange(entry).context ?? entry.data);
    const sequence = this.#ids.sequenceOf(id);
    return sequence === undefined ? undefined : this.#pending.get(sequence);
  }

  /** Marks what another leadership than that of `term` took. */
  #loseLeadership(term: Term): void {
    for (const pending of this.#pending.values()) {
      if (pending.term === 0 || pending.term === term || pending.ticksLeft !== Infinity) continue;
      pending.ticksLeft = 2 * this.#context.options.electionTick;
      this.#lostCount += 1;
    }
  }

  #giveUp(pending: Pending, reason: Exclude<UnknownReason, 'leadershipLost'>): void {
    const outcome = pending.term === 0 ? 'rejected' : 'unknown';
    this.#settle(pending, { outcome, reason });
  }

  #settle(pending: Pending, result: ProposalResult): void {
    if (!this.#pending.delete(pending.sequence)) return;
    if (pending.ticksLeft !== Infinity) this.#lostCount -= 1;
    pending.settle(result);
  }
}

function rejected(reason: RejectReason): Promise<ProposalResult> {
  return Promise.resolve({ outcome: 'rejected', reason });
}

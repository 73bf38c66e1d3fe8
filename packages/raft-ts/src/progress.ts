import type { Inflights } from './inflights.js';
import type { Bytes, Index } from './numbers.js';
import type { ProgressState, ProgressView } from './status-types.js';

/**
 * What a leader knows about one follower, and how it sends to it. `match < next`.
 *
 * - StateProbe: one append, then silence until an answer or the next heartbeat round;
 * - StateReplicate: a window of appends without waiting;
 * - StateSnapshot: nothing, until the snapshot is reported or acknowledged.
 */
export class Progress implements ProgressView {
  /** Last index that is known to be the same on both sides. */
  match: Index = 0;
  /** Index of the next entry to send. */
  next: Index;
  state: ProgressState = 'StateProbe';
  /** Index of the snapshot that is on its way. */
  pendingSnapshot: Index = 0;
  /** Whether it was heard of since the last check of the quorum. */
  recentActive = false;
  isLearner: boolean;
  readonly inflights: Inflights;
  /** Whether appends wait for an answer or a heartbeat round. */
  isFlowPaused = false;
  /** Highest commit index that was sent. */
  #sentCommit: Index = 0;

  /**
   * @param next index of the first entry to send
   * @param isLearner whether it does not vote
   * @param inflights its window
   */
  constructor(next: Index, isLearner: boolean, inflights: Inflights) {
    this.next = next;
    this.isLearner = isLearner;
    this.inflights = inflights;
  }

  /** Whether nothing is sent until something happens. */
  get paused(): boolean {
    return this.state === 'StateSnapshot' || this.isFlowPaused;
  }

  /** Forgets everything but the role, for a new leadership. */
  reset(match: Index, next: Index): void {
    this.#enter('StateProbe');
    this.match = match;
    this.next = next;
    this.recentActive = false;
    this.#sentCommit = 0;
  }

  /** Starts to probe: after a pending snapshot if there is one, else after the last match. */
  becomeProbe(): void {
    const after = this.state === 'StateSnapshot' ? this.pendingSnapshot : 0;
    this.#enter('StateProbe');
    this.next = Math.max(this.match, after) + 1;
    this.#limitSentCommit();
  }

  /** Starts to pipeline. */
  becomeReplicate(): void {
    this.#enter('StateReplicate');
    this.next = this.match + 1;
  }

  /** Waits for a snapshot to arrive. */
  becomeSnapshot(index: Index): void {
    this.#enter('StateSnapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  /**
   * Notes a sent append.
   *
   * @param count number of its entries
   * @param bytes size of its payloads
   */
  sentEntries(count: number, bytes: Bytes): void {
    if (this.state === 'StateReplicate') {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // An empty append into a full window is sent once, too.
      this.isFlowPaused = this.inflights.full;
    } else if (count > 0) {
      this.isFlowPaused = true;
    }
  }

  /** Notes that a commit index was sent. */
  sentCommit(commit: Index): void {
    this.#sentCommit = commit;
  }

  /** Whether the follower may learn something from being sent this commit index. */
  canBumpCommit(commit: Index): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** Takes over an acknowledged index. @returns false if it was known */
  maybeUpdate(index: Index): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.isFlowPaused = false;
    return true;
  }

  /**
   * Steps back after a rejection.
   *
   * @param rejected the index before the rejected entries
   * @param hint where the logs may agree
   * @returns false if the rejection is not about what is outstanding
   */
  maybeDecreaseTo(rejected: Index, hint: Index): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.isFlowPaused = false;
    }
    this.#limitSentCommit();
    return true;
  }

  /** A copy with another role that shares the window. */
  withLearner(isLearner: boolean): Progress {
    const copy = new Progress(this.next, isLearner, this.inflights);
    copy.match = this.match;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.isFlowPaused = this.isFlowPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  /** A copy that does not change. */
  view(): ProgressView {
    const { count, bytes, full } = this.inflights;
    return {
      match: this.match,
      next: this.next,
      state: this.state,
      pendingSnapshot: this.pendingSnapshot,
      recentActive: this.recentActive,
      paused: this.paused,
      isLearner: this.isLearner,
      inflights: { count, bytes, full },
    };
  }

  #enter(state: ProgressState): void {
    this.isFlowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  #limitSentCommit(): void {
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
  }
}

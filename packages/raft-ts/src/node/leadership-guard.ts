import type { NodeId, Status } from '../index.js';
import type { MemberContext } from './context.js';

/**
 * Makes a leader with a stuck disk give up leadership.
 *
 * CheckQuorum sees only the network: a leader that cannot write keeps sending heartbeats, and
 * nothing its followers hold is committed by its own copy. When the oldest unfinished log write is
 * older than an election timeout, leadership is offered to a follower that is caught up. If there
 * is none, or it does not take over, this member falls silent until the write ends or it is no
 * leader any more: the others elect somebody, and CheckQuorum makes this one step down.
 */
export class LeadershipGuard {
  readonly #context: MemberContext;
  readonly #oldestWriteAgeMs: () => number;
  /** Since when leadership is on offer; undefined: it is not. */
  #offeredAtMs: number | undefined;
  #isMuted = false;

  /**
   * @param context the member
   * @param oldestWriteAgeMs age of the oldest unfinished log write
   */
  constructor(context: MemberContext, oldestWriteAgeMs: () => number) {
    this.#context = context;
    this.#oldestWriteAgeMs = oldestWriteAgeMs;
  }

  /** Whether nothing may be sent to other members. */
  get isMuted(): boolean {
    return this.#isMuted;
  }

  /** Looks at the age of the oldest write; to be called at each tick and after each write. */
  check(): void {
    const { raw, options } = this.#context;
    const timeoutMs = options.electionTick * options.tickMs;
    const { raftState, leadTransferee } = raw.basicStatus();
    if (raftState !== 'StateLeader' || this.#oldestWriteAgeMs() <= timeoutMs) {
      this.#offeredAtMs = undefined;
      this.#isMuted = false;
      return;
    }
    if (this.#isMuted) return;
    const nowMs = options.clock.now();
    if (leadTransferee !== 0) {
      // The core counts this time in ticks, and gets none while the queue of writes is full.
      this.#offeredAtMs ??= nowMs;
      if (nowMs - this.#offeredAtMs <= timeoutMs) return;
    }
    const status = raw.status();
    if (!hasOtherVoters(status)) return;
    const successor = this.#offeredAtMs === undefined ? findSuccessor(status) : undefined;
    this.#offeredAtMs ??= nowMs;
    if (successor === undefined) {
      this.#isMuted = true;
      this.#context.log('WARN', () => 'log writes are stuck: silent until somebody else leads');
      return;
    }
    this.#context.log('WARN', () => `log writes are stuck: leadership offered to ${successor}`);
    raw.transferLeader(successor);
    this.#context.wake();
  }
}

function hasOtherVoters({ id, config }: Status): boolean {
  return config.voters.some((voters) => [...voters].some((voter) => voter !== id));
}

/** The voter with the most entries among those that are in touch and hold all that is committed. */
function findSuccessor({ id, commit, config, progress }: Status): NodeId | undefined {
  let best: NodeId | undefined;
  let bestMatch = commit - 1;
  for (const [peer, { match, state, recentActive }] of progress) {
    if (peer === id || !config.voters[0].has(peer)) continue;
    if (state !== 'StateReplicate' || !recentActive || match <= bestMatch) continue;
    best = peer;
    bestMatch = match;
  }
  return best;
}

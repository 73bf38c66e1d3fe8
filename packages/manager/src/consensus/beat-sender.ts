import { ConclaveError } from '@conclave/kernel';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { SessionsRequestInput } from '@conclave/wire';

/**
 * Milliseconds for one beat. Far less than the grace that a new leader gives: beats that wait for a
 * leader that hangs must not make nodes look silent.
 */
export const BEAT_CALL_MS = 2_000;

/** What {@link BeatSender} needs. */
export interface BeatSenderOptions {
  /** Raft id of the leader, after waiting for one. @throws CV_NO_LEADER */
  readonly awaitLeader: () => Promise<number>;
  /** Takes the list here, when this manager leads. @throws CV_NOT_LEADER */
  readonly receive: (sessions: SessionsRequestInput) => Promise<readonly string[]>;
  readonly isLeader: () => boolean;
  /** The channel to a manager; undefined when nobody knows its address. */
  readonly channelOf: (raftId: number) => Pick<Channel, 'unary'> | undefined;
}

/** Tells the leader which sessions live here, and a new leader at once. */
export class BeatSender {
  readonly #options: BeatSenderOptions;
  #open: { readonly leader: number; readonly gaveUp: AbortController } | undefined;

  constructor(options: BeatSenderOptions) {
    this.#options = options;
  }

  /**
   * Answers the sessions that are not valid any more. One call at a time.
   * @throws CV_NO_LEADER, CV_NOT_LEADER, CV_DEADLINE, ...: nobody may have heard it
   */
  async send(sessions: SessionsRequestInput): Promise<{ readonly invalid: readonly string[] }> {
    const { awaitLeader, isLeader, receive, channelOf } = this.#options;
    for (;;) {
      const leader = await awaitLeader();
      if (isLeader()) return { invalid: await receive(sessions) };
      const channel = channelOf(leader);
      if (channel === undefined) throw new ConclaveError('CV_NO_LEADER', 'the leader is not known');
      const gaveUp = new AbortController();
      this.#open = { leader, gaveUp };
      try {
        const options = { timeoutMs: BEAT_CALL_MS, signal: gaveUp.signal };
        return await channel.unary(loadWire().Managers.Beat, sessions, options);
      } catch (error) {
        // Who leads has changed: said again, to the one who does not know anything yet.
        if (!gaveUp.signal.aborted) throw error;
      } finally {
        this.#open = undefined;
      }
    }
  }

  /** Takes note of who leads; 0: nobody. A beat for somebody else is given up. */
  follow(leader: number): void {
    if (this.#open?.leader !== leader) this.#open?.gaveUp.abort();
  }
}

import { isConclaveError } from '@conclave/kernel';
import type { Logger, TimerHandle, Timers } from '@conclave/kernel';
import type { SessionNameInput, SessionsRequestInput } from '@conclave/wire';
import { BEAT_MS, CLOSED_WAITING_MAX } from './limits.js';

/** What the leader is told of a session that was opened. */
export type OpenedSession = NonNullable<SessionsRequestInput['opened']>[number];

/** A session that lives here, as far as beats are concerned. */
export interface BeatingSession {
  readonly id: string;
  readonly nodeId: string;
  /** True when something was heard since the last question. */
  takeHeard(): boolean;
}

/** What beats are made of. */
export interface SessionBeatsOptions {
  /** Cuts the sessions that were silent for too long and answers the others. */
  readonly sessions: () => Iterable<BeatingSession>;
  /** Tells the leader. */
  readonly beat: (
    sessions: SessionsRequestInput,
  ) => Promise<{ readonly invalid: readonly string[] }>;
  /** The leader says that this session does not count any more. */
  readonly onInvalid: (sessionId: string) => void;
  /** The leader says that this manager is out of the cluster: no session counts. */
  readonly onRemoved: () => void;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Tells the leader which sessions live here, again and again, one beat at a time. What a beat said
 * that failed is said again by the next: nodes would be called DOWN for a beat that got lost.
 */
export class SessionBeats {
  readonly #options: SessionBeatsOptions;
  readonly #timer: TimerHandle;
  #opened = new Map<string, OpenedSession>();
  #alive = new Map<string, SessionNameInput>();
  #closed = new Map<string, SessionNameInput>();
  #isBeating = false;
  #isClosed = false;

  constructor(options: SessionBeatsOptions) {
    this.#options = options;
    this.#timer = options.timers.every(BEAT_MS, () => this.#beat());
  }

  /** Notes a new session; the leader hears of it at once. */
  opened(session: OpenedSession): void {
    this.#opened.set(session.sessionId ?? '', session);
    this.#beat();
  }

  /** Notes the end of a session. One that the leader never heard of is not worth a word. */
  closed(nodeId: string, sessionId: string): void {
    this.#alive.delete(sessionId);
    if (this.#opened.delete(sessionId)) return;
    this.#closed.set(sessionId, { nodeId, sessionId });
    for (const oldest of this.#closed.keys()) {
      if (this.#closed.size <= CLOSED_WAITING_MAX) break;
      this.#closed.delete(oldest);
    }
  }

  /** Ends. */
  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
  }

  /** Sent even when empty: it says that this manager lives. */
  #beat(): void {
    for (const session of this.#options.sessions()) {
      const { id: sessionId, nodeId } = session;
      if (session.takeHeard()) this.#alive.set(sessionId, { nodeId, sessionId });
    }
    if (this.#isBeating || this.#isClosed) return;
    this.#isBeating = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    const opened = this.#opened;
    const alive = this.#alive;
    const closed = this.#closed;
    this.#opened = new Map();
    this.#alive = new Map();
    this.#closed = new Map();
    try {
      const { invalid } = await this.#options.beat({
        opened: [...opened.values()],
        alive: [...alive.values()],
        closed: [...closed.values()],
      });
      for (const id of invalid) this.#options.onInvalid(id);
    } catch (error) {
      this.#options.logger.debug('session.beat-failed', { error });
      this.#restore({ opened, alive, closed });
      if (isConclaveError(error) && error.code === 'CV_NODE_REMOVED') this.#options.onRemoved();
      return;
    } finally {
      this.#isBeating = false;
    }
    if (this.#opened.size > 0) this.#beat();
  }

  #restore(said: {
    readonly opened: ReadonlyMap<string, OpenedSession>;
    readonly alive: ReadonlyMap<string, SessionNameInput>;
    readonly closed: ReadonlyMap<string, SessionNameInput>;
  }): void {
    const closed = new Map([...said.closed, ...this.#closed]);
    const isOpen = ([id]: readonly [string, unknown]): boolean => !closed.has(id);
    this.#opened = new Map([...[...said.opened].filter(isOpen), ...this.#opened]);
    this.#alive = new Map([...[...said.alive].filter(isOpen), ...this.#alive]);
    // The leader may have heard of it although nobody heard the leader: said in any case.
    this.#closed = closed;
  }
}

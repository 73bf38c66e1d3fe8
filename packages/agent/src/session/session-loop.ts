import { delay, toConclaveError } from '@conclave/kernel';
import type { Logger, Random, Timers } from '@conclave/kernel';

import { RECONNECT_MS_MAX, RECONNECT_MS_MIN } from '../limits.js';
import type { ManagerDialer } from './connection.js';
import type { ManagerBook } from './manager-book.js';
import { Session } from './session.js';
import type { SessionContext } from './session.js';

/** What a {@link SessionLoop} needs. */
export interface SessionLoopOptions {
  readonly dialer: ManagerDialer;
  readonly book: ManagerBook;
  /** Asked for each session anew. */
  readonly context: () => SessionContext;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Keeps a session with some manager: tries one after the other in random order, and waits between
 * attempts, longer and longer and never as long as other agents.
 */
export class SessionLoop {
  readonly #options: SessionLoopOptions;
  readonly #stop = new AbortController();
  #session: Session | undefined;
  #done: Promise<void> = Promise.resolve();
  #isRefused = false;

  constructor(options: SessionLoopOptions) {
    this.#options = options;
  }

  /** The session that is under way; undefined between attempts. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** True when the last manager that answered did not accept the identity of this node. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** The managers that it turns to. */
  get book(): ManagerBook {
    return this.#options.book;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Ends the session; the loop opens another one at once. */
  reconnect(): void {
    this.#session?.close();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#session?.close();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { book, random, timers } = this.#options;
    let waitMs = RECONNECT_MS_MIN;
    let lostId = '';
    while (!this.#stop.signal.aborted) {
      for (const manager of book.shuffled(lostId)) {
        if (this.#stop.signal.aborted) return;
        if (await this.#hold(manager)) {
          waitMs = RECONNECT_MS_MIN;
          lostId = manager.nodeId;
          break;
        }
      }
      await delay(timers, 1 + random.below(waitMs), this.#stop.signal);
      waitMs = Math.min(RECONNECT_MS_MAX, waitMs * 2);
    }
  }

  /** One session; true when it had been open. */
  async #hold(manager: Session['manager']): Promise<boolean> {
    const { dialer, context, logger } = this.#options;
    let wasOpen = false;
    let failure: unknown;
    try {
      this.#session = new Session(manager, dialer.dial(manager), context());
      const { session } = this;
      try {
        await session?.run();
      } finally {
        wasOpen = session?.hasBeenOpen === true;
      }
    } catch (error) {
      failure = error;
    }
    this.#session = undefined;
    const { code, message } = failure === undefined ? ENDED : toConclaveError(failure);
    // An attempt that reached nobody says nothing new.
    if (wasOpen || code !== 'CV_PEER_UNREACHABLE') this.#isRefused = code === 'CV_UNAUTHENTICATED';
    logger.info('session.ended', { managerId: manager.nodeId, code, reason: message });
    return wasOpen;
  }
}

const ENDED = { code: '', message: 'ended' };

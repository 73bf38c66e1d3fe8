import { delay, toConclaveError } from '@conclave/kernel';
import type { Clock, Logger, Random, Timers } from '@conclave/kernel';

import { RECONNECT_MS_MAX, RECONNECT_MS_MIN, SESSION_SETTLED_MS } from '../limits.js';
import type { ManagerDialer } from './connection.js';
import type { ManagerBook } from './manager-book.js';
import { RemovalWords } from './removal-words.js';
import { Session } from './session.js';
import type { SessionContext } from './session.js';

/**
 * What the managers make of this node: `refused` when the last one that answered did not accept its
 * identity, `removed` once most of them say so, `waiting` while it joined and nobody approved it.
 */
export type Standing = 'member' | 'refused' | 'removed' | 'waiting';

const REFUSALS: ReadonlySet<string> = new Set(['CV_UNAUTHENTICATED', 'CV_NODE_REMOVED']);

/** What a {@link SessionLoop} needs. */
export interface SessionLoopOptions {
  readonly dialer: ManagerDialer;
  readonly book: ManagerBook;
  /** Asked for each session anew. */
  readonly context: () => SessionContext;
  /** Called once: this node was removed, for certain. No session follows. */
  readonly onRemoved: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Keeps a session with some manager: tries one after the other in random order, and waits between
 * attempts, longer and longer until a session lasts, and never as long as other agents. Ends when
 * the node was removed.
 */
export class SessionLoop {
  readonly #options: SessionLoopOptions;
  readonly #stop = new AbortController();
  #session: Session | undefined;
  #done: Promise<void> = Promise.resolve();
  readonly #removal = new RemovalWords();
  #standing: Standing = 'member';

  constructor(options: SessionLoopOptions) {
    this.#options = options;
  }

  /** The session that is under way; undefined between attempts. */
  get session(): Session | undefined {
    return this.#session;
  }

  get standing(): Standing {
    return this.#standing;
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
    const { book, clock, random, timers } = this.#options;
    let waitMs = RECONNECT_MS_MIN;
    /** The pause after a session that ended as soon as it had opened. */
    let shortMs = RECONNECT_MS_MIN;
    let lostId = '';
    while (!this.#stop.signal.aborted) {
      for (const manager of book.shuffled(lostId)) {
        if (this.#stop.signal.aborted) return;
        const sinceMs = clock.monotonic();
        const wasOpen = await this.#hold(manager);
        if (this.#standing === 'removed') return;
        if (wasOpen) {
          // One that ends at once, because an assignment is refused or another host has the same
          // identity, would otherwise begin anew without a pause for ever.
          const hasLasted = clock.monotonic() - sinceMs >= SESSION_SETTLED_MS;
          shortMs = hasLasted ? RECONNECT_MS_MIN : Math.min(RECONNECT_MS_MAX, shortMs * 2);
          waitMs = shortMs;
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
    logger.info('session.ended', { managerId: manager.nodeId, code, reason: message });
    if (wasOpen) this.#removal.clear();
    // An attempt that reached nobody says nothing new.
    if (wasOpen || code !== 'CV_PEER_UNREACHABLE') this.judge(manager.nodeId, code);
    return wasOpen;
  }

  /** Takes in how a manager has answered, here or elsewhere: a code, or empty for no refusal. */
  judge(managerId: string, code: string): void {
    if (this.#standing === 'removed') return;
    const { book, onRemoved, logger } = this.#options;
    this.#standing = standingAfter(code);
    if (code !== 'CV_NODE_REMOVED') return;
    this.#removal.hear(managerId);
    if (!this.#removal.isCertain(book.managers)) return;
    this.#standing = 'removed';
    logger.warn('agent.removed', { managers: book.managers.length });
    onRemoved();
  }
}

function standingAfter(code: string): Standing {
  if (code === 'CV_APPROVAL_PENDING') return 'waiting';
  return REFUSALS.has(code) ? 'refused' : 'member';
}

const ENDED = { code: '', message: 'ended' };

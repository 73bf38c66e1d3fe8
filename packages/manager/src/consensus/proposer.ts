import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { Clock } from '@conclave/kernel';
import type { Actor, Command, CommandBody } from '@conclave/state';
import type { ProposedResult } from './raft-host.js';

/** The part of consensus that proposing needs. */
export interface ProposalPort {
  isLeader(): boolean;
  propose(command: Command, signal?: AbortSignal): Promise<ProposedResult>;
  /** Raft id of the leader, after waiting for one. @throws CV_NO_LEADER */
  awaitLeader(signal?: AbortSignal): Promise<number>;
  awaitApplied(index: number): Promise<void>;
  /** Resolves after `ms` milliseconds. */
  pause(ms: number): Promise<void>;
}

/** Hands a command to another manager, which leads. */
export type RemotePropose = (
  leaderRaftId: number,
  command: Command,
  signal?: AbortSignal,
) => Promise<ProposedResult>;

/** Attempts after "certainly not done"; each waits for a leader first. */
const ATTEMPTS_MAX = 4;
/** Milliseconds before the second attempt, twice as long before each further one. */
const PAUSE_MS = 100;

export interface ProposeOptions {
  readonly request?: Command['request'];
  readonly signal?: AbortSignal;
}

/**
 * Puts commands into the log from any manager: directly on the leader, else through it. Answers
 * when this manager has applied the command, so that a read after a write sees it. Never repeats
 * what may have been done.
 */
export class Proposer {
  readonly #port: ProposalPort;
  readonly #remote: RemotePropose;
  readonly #clock: Clock;

  constructor(port: ProposalPort, remote: RemotePropose, clock: Clock) {
    this.#port = port;
    this.#remote = remote;
    this.#clock = clock;
  }

  /**
   * @throws CV_NO_LEADER, CV_NOT_LEADER, CV_QUEUE_FULL, CV_LIMIT_EXCEEDED: certainly not done
   * @throws CV_OUTCOME_UNKNOWN: done, or not, or later
   */
  async propose(
    by: Actor,
    body: CommandBody,
    options: ProposeOptions = {},
  ): Promise<ProposedResult> {
    const { request, signal } = options;
    for (let attempt = 1; ; attempt += 1) {
      const leader = await this.#port.awaitLeader(signal);
      const command: Command = { ...body, by, request, atMs: this.#clock.now() };
      try {
        if (this.#port.isLeader()) return await this.#port.propose(command, signal);
        const proposed = await this.#remote(leader, command, signal);
        await this.#port.awaitApplied(proposed.index);
        return proposed;
      } catch (error) {
        if (!isConclaveError(error) || error.code !== 'CV_NOT_LEADER' || attempt >= ATTEMPTS_MAX) {
          throw error;
        }
        // Who leads may be known before it does: it has to apply what came before.
        await this.#port.pause(PAUSE_MS * 2 ** (attempt - 1));
      }
    }
  }

  /** Like `propose`, and a refusal of the state machine is thrown as the error it names. */
  async commit(by: Actor, body: CommandBody, options: ProposeOptions = {}): Promise<Committed> {
    const { result, index } = await this.propose(by, body, options);
    if (result.ok) return { index, values: result.values };
    throw refusal(result);
  }
}

/** A change that was made. */
export interface Committed {
  readonly index: number;
  readonly values: Readonly<Record<string, string | number | boolean>>;
}

/** The error that a refused command stands for. */
export function refusal(result: {
  readonly code: string;
  readonly message: string;
  readonly details: ConclaveError['details'];
}): ConclaveError {
  return new ConclaveError(result.code as ConclaveError['code'], result.message, {
    details: result.details,
  });
}

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

/** Attempts of one proposal; each waits for a leader first. */
const ATTEMPTS_MAX = 4;
/** Milliseconds before the second attempt, twice as long before each further one. */
const PAUSE_MS = 100;

export interface ProposeOptions {
  readonly request?: Command['request'];
  readonly signal?: AbortSignal;
}

/**
 * Puts commands into the log from any manager: directly on the leader, else through it. Answers
 * when this manager has applied the command, so that a read after a write sees it. What may have
 * been done is repeated only through another leader and under an idempotency key: the tables then
 * do it once and answer the same.
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
    /** The last attempt of which nobody knows what became; no later failure says more. */
    let unknown: { readonly leader: number; readonly error: unknown } | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const leader = await this.#port.awaitLeader(signal);
        if (leader === unknown?.leader) throw unknown.error;
        const command: Command = { ...body, by, request, atMs: this.#clock.now() };
        try {
          return await this.#attempt(leader, command, signal);
        } catch (error) {
          if (codeOf(error) === 'CV_OUTCOME_UNKNOWN') unknown = { leader, error };
          const isSafe = codeOf(error) === 'CV_NOT_LEADER' || error === unknown?.error;
          const mayRepeat = isSafe && (unknown === undefined || request !== undefined);
          if (!mayRepeat || attempt >= ATTEMPTS_MAX) throw error;
        }
      } catch (error) {
        throw unknown?.error ?? error;
      }
      // Who leads may be known before it does: it has to apply what came before.
      await this.#port.pause(PAUSE_MS * 2 ** (attempt - 1));
    }
  }

  async #attempt(
    leader: number,
    command: Command,
    signal: AbortSignal | undefined,
  ): Promise<ProposedResult> {
    if (this.#port.isLeader()) return await this.#port.propose(command, signal);
    const proposed = await this.#remote(leader, command, signal);
    await this.#port.awaitApplied(proposed.index);
    return proposed;
  }

  /** Like `propose`, and a refusal of the state machine is thrown as the error it names. */
  async commit(by: Actor, body: CommandBody, options: ProposeOptions = {}): Promise<Committed> {
    const { result, index } = await this.propose(by, body, options);
    if (result.ok) return { index, values: result.values };
    throw refusal(result);
  }
}

function codeOf(error: unknown): string {
  return isConclaveError(error) ? error.code : '';
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

import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { TimerHandle, Timers } from '@conclave/kernel';
import { encodeCommand } from '@conclave/state';
import type { Command } from '@conclave/state';
import type { Channel } from '@conclave/transport';
import { loadWire } from '@conclave/wire';
import type { ProposedResult } from './raft-host.js';
import { decodeOutcome } from './result-codec.js';

/** Milliseconds for one call to the leader. */
const CALL_MS_MAX = 10_000;
/**
 * Milliseconds that calls to a manager go on when another one leads. One that lives answers what
 * became of its commands; one that hangs would keep their callers to the end of the call.
 */
const PARTING_MS = 500;
/** Calls to one leader at a time; what comes meanwhile travels together with the next. */
const CALLS_MAX = 2;
/** Commands of one call. */
const BATCH_COUNT_MAX = 256;
/** Bytes of one call, unless one command alone has more. */
const BATCH_BYTES_MAX: number = 512 * 1024;
/** Commands that wait for a call. */
const WAITING_COUNT_MAX = 4_096;

/** What {@link RemoteProposals} needs. */
export interface RemoteProposalsOptions {
  /** The channel to a manager; undefined when nobody knows its address. */
  readonly channelOf: (raftId: number) => Pick<Channel, 'unary'> | undefined;
  /** Runs once, soon, after the input that is already waiting. */
  readonly schedule: (run: () => void) => void;
  readonly timers: Timers;
}

interface Waiting {
  readonly command: Uint8Array;
  /** Nobody waits any more once it was settled. */
  isSettled: boolean;
  readonly settle: (outcome: () => ProposedResult) => void;
}

interface Lane {
  waiting: Waiting[];
  readonly calls: Set<AbortController>;
  isScheduled: boolean;
  /** Runs while another manager leads and calls are open here. */
  parting: TimerHandle | undefined;
}

/**
 * Commands on their way to the manager that leads. Many share a call: a call of its own for each
 * costs both sides more than the command does.
 */
export class RemoteProposals {
  readonly #options: RemoteProposalsOptions;
  readonly #lanes = new Map<number, Lane>();

  constructor(options: RemoteProposalsOptions) {
    this.#options = options;
  }

  /**
   * Proposes through `leader`.
   * @throws CV_NOT_LEADER, CV_QUEUE_FULL: certainly not done
   * @throws CV_CANCELLED when `signal` fires; once under way it may be done all the same
   * @throws CV_OUTCOME_UNKNOWN when the call to the leader was cut off, or another one leads and it
   * does not answer: done, or not, or later
   * @throws what the leader answers
   */
  propose(leader: number, command: Command, signal?: AbortSignal): Promise<ProposedResult> {
    return new Promise((resolve, reject) => {
      const lane = this.#lane(leader);
      if (signal?.aborted === true) throw cancelled();
      if (lane.waiting.length >= WAITING_COUNT_MAX) throw full();
      const onAbort = (): void =>
        waiting.settle(() => {
          throw cancelled();
        });
      const waiting: Waiting = {
        command: encodeCommand(command),
        isSettled: false,
        settle: (outcome) => {
          if (waiting.isSettled) return;
          waiting.isSettled = true;
          signal?.removeEventListener('abort', onAbort);
          try {
            resolve(outcome());
          } catch (error) {
            reject(error as Error);
          }
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      lane.waiting.push(waiting);
      this.#wake(leader, lane);
    });
  }

  /**
   * Takes note of who leads; 0: nobody. What was not sent yet to anybody else is certainly not done;
   * what was sent has a moment for its answer once another one leads.
   */
  follow(leader: number): void {
    for (const [raftId, lane] of this.#lanes) {
      if (raftId === leader) {
        lane.parting?.cancel();
        lane.parting = undefined;
        continue;
      }
      if (leader !== 0) this.#part(lane);
      for (const waiting of lane.waiting.splice(0)) {
        waiting.settle(() => {
          throw notLeader();
        });
      }
    }
  }

  #part(lane: Lane): void {
    lane.parting ??= this.#options.timers.after(PARTING_MS, () => {
      lane.parting = undefined;
      for (const call of lane.calls) call.abort();
    });
  }

  #lane(leader: number): Lane {
    const known = this.#lanes.get(leader);
    if (known !== undefined) return known;
    const lane: Lane = { waiting: [], calls: new Set(), isScheduled: false, parting: undefined };
    this.#lanes.set(leader, lane);
    return lane;
  }

  #wake(leader: number, lane: Lane): void {
    if (lane.isScheduled || lane.calls.size >= CALLS_MAX) return;
    lane.isScheduled = true;
    this.#options.schedule(() => {
      lane.isScheduled = false;
      while (lane.calls.size < CALLS_MAX) {
        const batch = takeBatch(lane);
        if (batch.length === 0) return;
        void this.#send(leader, lane, batch);
      }
    });
  }

  async #send(leader: number, lane: Lane, batch: readonly Waiting[]): Promise<void> {
    const gaveUp = new AbortController();
    lane.calls.add(gaveUp);
    try {
      const channel = this.#options.channelOf(leader);
      if (channel === undefined) throw unknownAddress();
      const { outcomes } = await channel.unary(
        loadWire().Managers.Propose,
        { commands: batch.map(({ command }) => command) },
        { timeoutMs: CALL_MS_MAX, signal: gaveUp.signal },
      );
      for (const [place, waiting] of batch.entries()) {
        waiting.settle(() => decodeOutcome(outcomes[place]));
      }
    } catch (error) {
      const failure = gaveUp.signal.aborted ? parted(error) : asOutcome(error);
      for (const waiting of batch) {
        waiting.settle(() => {
          throw failure;
        });
      }
    } finally {
      lane.calls.delete(gaveUp);
      if (lane.waiting.length > 0) this.#wake(leader, lane);
    }
  }
}

/** The next commands that somebody still waits for. */
function takeBatch(lane: Lane): Waiting[] {
  const batch: Waiting[] = [];
  let bytes = 0;
  let taken = 0;
  for (const waiting of lane.waiting) {
    const size = waiting.isSettled ? 0 : waiting.command.length;
    const isFull = batch.length >= BATCH_COUNT_MAX || bytes + size > BATCH_BYTES_MAX;
    if (isFull && batch.length > 0) break;
    taken += 1;
    if (waiting.isSettled) continue;
    batch.push(waiting);
    bytes += size;
  }
  lane.waiting.splice(0, taken);
  return batch;
}

/** A call that was late, cut off or never answered says nothing of what became of its commands. */
function asOutcome(error: unknown): unknown {
  if (!isConclaveError(error) || error.kind !== 'unavailable') return error;
  return new ConclaveError(
    'CV_OUTCOME_UNKNOWN',
    `the leader did not answer, the write may or may not be done: ${error.message}`,
    { retryAfterMs: 300, details: { reason: error.code }, cause: error },
  );
}

const parted = (cause: unknown): ConclaveError =>
  new ConclaveError(
    'CV_OUTCOME_UNKNOWN',
    'the manager that led did not answer any more: the write may or may not be done',
    { retryAfterMs: 300, cause },
  );

const cancelled = (): ConclaveError => new ConclaveError('CV_CANCELLED', 'the caller gave up');

const full = (): ConclaveError =>
  new ConclaveError('CV_QUEUE_FULL', 'too many writes wait for the leader', { retryAfterMs: 300 });

const notLeader = (): ConclaveError =>
  new ConclaveError('CV_NOT_LEADER', 'another manager leads now');

const unknownAddress = (): ConclaveError =>
  new ConclaveError('CV_NOT_LEADER', 'the address of the leader is not known yet');

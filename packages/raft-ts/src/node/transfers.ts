import type { BasicStatus, NodeId, Ticks } from '../index.js';
import { onAbort } from './abort.js';
import type { MemberContext } from './context.js';
import { DriverError } from './driver-error.js';
import type { CancelSignal } from './types.js';

interface Transfer {
  readonly to: NodeId;
  readonly resolve: () => void;
  readonly reject: (error: DriverError) => void;
  ticksLeft: Ticks;
}

/** The transfer of leadership somebody waits for, at most one at a time. */
export class Transfers {
  readonly #context: MemberContext;
  #transfer: Transfer | undefined;

  /** @param context the member */
  constructor(context: MemberContext) {
    this.#context = context;
  }

  /** See `Node.transferLeadership`. */
  async transfer(to: NodeId, signal: CancelSignal | undefined): Promise<void> {
    const { raw, options } = this.#context;
    if (!this.#context.isAccepting()) throw transferFailed('stopped');
    if (signal?.aborted === true) throw transferFailed('aborted');
    const { raftState, lead } = raw.basicStatus();
    if (raftState !== 'StateLeader') throw transferFailed('notLeader');
    if (lead === to) return;
    if (this.#transfer !== undefined) throw transferFailed('transferInProgress');
    this.#context.guarded(() => {
      raw.transferLeader(to);
    });
    if (!this.#context.isOpen()) throw transferFailed('stopped');
    if (raw.basicStatus().leadTransferee !== to) throw transferFailed('refused');
    this.#context.wake();
    let detach: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        // The core gives up after one election timeout; another one is for hearing of the leader.
        this.#transfer = { to, resolve, reject, ticksLeft: 2 * options.electionTick };
        detach = onAbort(signal, () => {
          reject(transferUnknown('aborted'));
        });
      });
    } finally {
      detach?.();
      this.#transfer = undefined;
    }
  }

  /** Notices that the transfer has succeeded or failed. */
  observe(status: BasicStatus): void {
    const transfer = this.#transfer;
    if (transfer === undefined) return;
    if (status.lead === transfer.to) transfer.resolve();
    else if (status.raftState === 'StateLeader') {
      if (status.leadTransferee !== transfer.to) transfer.reject(transferFailed('givenUp'));
    } else if (status.lead !== 0) transfer.reject(transferFailed('otherLeader'));
  }

  /** Gives up when no leader is heard of. */
  tick(): void {
    const transfer = this.#transfer;
    if (transfer === undefined) return;
    transfer.ticksLeft -= 1;
    if (transfer.ticksLeft <= 0) transfer.reject(transferUnknown('noLeader'));
  }

  /** Ends the waiting because the member stops. */
  close(): void {
    this.#transfer?.reject(transferUnknown('stopped'));
  }
}

function transferFailed(reason: string): DriverError {
  return new DriverError('REJECTED', `leadership was not transferred: ${reason}`, { reason });
}

function transferUnknown(reason: string): DriverError {
  return new DriverError('UNKNOWN', `leadership may still be transferred: ${reason}`, { reason });
}

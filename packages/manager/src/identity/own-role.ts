import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type { State } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type { RenewRequestInput } from '@conclave/wire';
import type { Peers } from '../peers.js';

/** Milliseconds for one call to another manager. */
const CALL_MS = 5_000;

/** What asking for one's own role takes. */
export interface OwnRoleOptions {
  readonly nodeId: string;
  /** The Raft id that this host has as a manager. */
  readonly raftId: number;
  readonly peers: Pick<Peers, 'list' | 'byNodeId'>;
  readonly state: () => State;
}

/**
 * What the other managers say that this one is. Its own log does not tell it: nobody replicates to a
 * member that is out. A manager that lags cannot take it for a worker by mistake: it does not know
 * the certificate, which was recorded together with the role.
 */
export class OwnRole {
  readonly #options: OwnRoleOptions;

  #isWaiting = false;

  constructor(options: OwnRoleOptions) {
    this.#options = options;
  }

  /** True when the last one that was asked said that nobody has approved this host yet. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** True when most of the other managers say that this host is a worker by now. */
  async isDemoted(): Promise<boolean> {
    const { nodeId, peers, raftId, state } = this.#options;
    // Tables that do not have this Raft id yet are from before the promotion: this manager catches up.
    const hasBegun = state().isRetiredRaftId(raftId);
    if (hasBegun && state().nodeById(nodeId)?.role === 'worker') return true;
    const others = peers.list();
    const answers = await Promise.all(others.map((other) => this.#isWorkerBy(other.nodeId)));
    return answers.filter(Boolean).length > others.length / 2;
  }

  /**
   * The next certificate, from the first other manager that gives one.
   * @throws the last failure
   */
  async requestCertificate(request: RenewRequestInput): Promise<Uint8Array> {
    let failure: unknown = new ConclaveError('CV_PEER_UNREACHABLE', 'no other manager is known');
    for (const { nodeId } of this.#options.peers.list()) {
      try {
        const channel = this.#options.peers.byNodeId(nodeId);
        const call = { timeoutMs: CALL_MS };
        const answer = await channel?.unary(loadWire().Identity.Renew, request, call);
        if (answer !== undefined) return Uint8Array.from(answer.certificate);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #isWorkerBy(nodeId: string): Promise<boolean> {
    try {
      const channel = this.#options.peers.byNodeId(nodeId);
      const call = { timeoutMs: CALL_MS };
      const answer = await channel?.unary(loadWire().Identity.GetRole, {}, call);
      this.#isWaiting = false;
      return answer?.role === 'worker';
    } catch (error) {
      if (!isConclaveError(error)) throw error;
      if (error.code === 'CV_APPROVAL_PENDING') this.#isWaiting = true;
      return false;
    }
  }
}

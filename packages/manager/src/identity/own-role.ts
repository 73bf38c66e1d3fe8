import { ConclaveError, isConclaveError, limits } from '@conclave/kernel';
import type { State } from '@conclave/state';
import { loadWire } from '@conclave/wire';
import type { RenewRequestInput } from '@conclave/wire';
import type { Peers } from '../peers.js';
import type { KnownManager } from './authority.js';

/** Milliseconds for one call to another manager. */
const CALL_MS = 5_000;

/** A manager as another one names it. */
export interface NamedManager extends KnownManager {
  readonly joinAddress: string;
  readonly signingPublicKey: Uint8Array;
}

type Place = Pick<KnownManager, 'address' | 'nodeId'>;
/** By node id; undefined: it does not call this host a worker, or gives no answer. */
type Answers = Map<string, readonly NamedManager[] | undefined>;

/** What asking for one's own role takes. */
export interface OwnRoleOptions {
  readonly nodeId: string;
  /** The Raft id that this host has as a manager. */
  readonly raftId: number;
  readonly peers: Pick<Peers, 'at' | 'list'>;
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
  #named: readonly NamedManager[] = [];

  constructor(options: OwnRoleOptions) {
    this.#options = options;
  }

  /** True when the last one that was asked said that nobody has approved this host yet. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /**
   * Who manages by now, as the managers say that call this host a worker; empty before any does.
   * What it has in its own tables may be long gone.
   */
  get managers(): readonly NamedManager[] {
    return this.#named;
  }

  /**
   * True when most of the other managers say that this host is a worker by now: those that its tables
   * list, or those that one of the answers lists, for who was away while others were replaced.
   */
  async isDemoted(): Promise<boolean> {
    const { nodeId, peers, raftId, state } = this.#options;
    // Tables that do not have this Raft id yet are from before the promotion: this manager catches up.
    const hasBegun = state().isRetiredRaftId(raftId);
    if (hasBegun && state().nodeById(nodeId)?.role === 'worker') return true;
    const known = peers.list();
    const answers = await this.#askAll(known, new Map());
    const lists = [...answers.values()].flatMap((answer) => (answer === undefined ? [] : [answer]));
    const named = new Map(lists.flat().map((other) => [other.nodeId, other]));
    const unknown = [...named.values()].filter((other) => !answers.has(other.nodeId));
    await this.#askAll(unknown.slice(0, limits.MANAGER_COUNT_MAX), answers);
    this.#named = lists.find((list) => isMost(list, answers)) ?? [];
    return this.#named.length > 0 || isMost(known, answers);
  }

  /**
   * The next certificate, from the first other manager that gives one.
   * @throws the last failure
   */
  async requestCertificate(request: RenewRequestInput): Promise<Uint8Array> {
    const { peers } = this.#options;
    let failure: unknown = new ConclaveError('CV_PEER_UNREACHABLE', 'no other manager is known');
    for (const other of [...this.#named, ...peers.list()]) {
      try {
        const call = { timeoutMs: CALL_MS };
        const answer = await peers.at(other).unary(loadWire().Identity.Renew, request, call);
        return Uint8Array.from(answer.certificate);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #askAll(others: readonly Place[], answers: Answers): Promise<Answers> {
    for (const { nodeId } of others) answers.set(nodeId, undefined);
    const ask = async (other: Place): Promise<void> => {
      answers.set(other.nodeId, await this.#managersIfWorker(other));
    };
    await Promise.all(others.map(ask));
    return answers;
  }

  /** The managers that another one lists when it calls this host a worker. */
  async #managersIfWorker(other: Place): Promise<readonly NamedManager[] | undefined> {
    try {
      const call = { timeoutMs: CALL_MS };
      const channel = this.#options.peers.at(other);
      const answer = await channel.unary(loadWire().Identity.GetRole, {}, call);
      this.#isWaiting = false;
      if (answer.role !== 'worker') return undefined;
      // They outlive the message whose buffer they are views of.
      return answer.managers.map((manager) => ({
        ...manager,
        signingPublicKey: Uint8Array.from(manager.signingPublicKey),
      }));
    } catch (error) {
      if (!isConclaveError(error)) throw error;
      if (error.code === 'CV_APPROVAL_PENDING') this.#isWaiting = true;
      return undefined;
    }
  }
}

/** True when more than half of these call this host a worker. */
function isMost(managers: readonly Place[], answers: Answers): boolean {
  const count = managers.filter(({ nodeId }) => answers.get(nodeId) !== undefined).length;
  return count > managers.length / 2;
}

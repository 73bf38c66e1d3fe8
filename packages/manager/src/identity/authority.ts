import type { Clock, Timers } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';
import type { Change, NodeRow } from '@conclave/state';
import type { Authority, CurrentIdentity } from '@conclave/transport';
import type { ReplicatedState } from '../consensus/replicated-state.js';

/** A member that a joining manager was told of before it has any state of its own. */
export interface KnownManager {
  readonly nodeId: string;
  readonly raftId: number;
  readonly address: string;
}

/**
 * Milliseconds between two checks of all open calls: a certificate that runs out, or whose overlap
 * with its successor is over, ends them although nothing is committed. With the grace of a cut call
 * that has to be within a second.
 */
const RECHECK_MS = 500;

/**
 * Who may do what right now, from committed state: the node exists, has this role, and the serial
 * of the certificate is one that its record accepts. Until a joining manager has received the
 * state, only the managers that its join answer named are known.
 */
export class StateAuthority implements Authority {
  readonly #replicated: ReplicatedState;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #knownManagers: ReadonlyMap<string, KnownManager>;

  constructor(parts: {
    readonly replicated: ReplicatedState;
    readonly clock: Clock;
    readonly timers: Timers;
    readonly known: readonly KnownManager[];
  }) {
    this.#replicated = parts.replicated;
    this.#clock = parts.clock;
    this.#timers = parts.timers;
    this.#knownManagers = new Map(parts.known.map((known) => [known.nodeId, known]));
  }

  /** @inheritdoc */
  currentIdentity(identity: CertificateIdentity): CurrentIdentity | undefined {
    if (identity.kind !== 'node') return undefined;
    const { state } = this.#replicated;
    if (state.cluster() === undefined) {
      if (!this.#knownManagers.has(identity.id)) return undefined;
      return {
        kind: 'node',
        id: identity.id,
        role: 'manager',
        isActive: true,
        isSerialCurrent: true,
      };
    }
    const node = state.nodeById(identity.id);
    if (node === undefined) {
      // A manager that lags knows neither a node that joined lately nor that another is gone.
      if (!state.isRemovedNode(identity.id)) return undefined;
      return { kind: 'node', id: identity.id, isActive: false, isSerialCurrent: false };
    }
    return {
      kind: 'node',
      id: node.id,
      role: node.role,
      isActive: true,
      isSerialCurrent: this.#accepts(node, identity.serial),
    };
  }

  /** Calls at once for a committed change, and twice a second for rights that time takes away. */
  onChange(listener: () => void): () => void {
    const unlisten = this.#replicated.listen((event) => {
      if (event.kind === 'replaced' || event.batch.changes.some(mayTakeAway)) listener();
    });
    const timer = this.#timers.every(RECHECK_MS, listener);
    return () => {
      unlisten();
      timer.cancel();
    };
  }

  #accepts(node: NodeRow, serial: string): boolean {
    if (node.certificate.serial === serial) return true;
    return node.previousCertificate?.serial === serial && this.#clock.now() <= node.previousUntilMs;
  }
}

/** True for what may cost somebody a call; a node that was only seen or labelled keeps its own. */
function mayTakeAway(change: Change): boolean {
  if (change.kind !== 'node' || change.before === undefined) return false;
  const { before, after } = change;
  return (
    before.role !== after?.role ||
    before.certificate.serial !== after.certificate.serial ||
    before.previousCertificate?.serial !== after.previousCertificate?.serial
  );
}

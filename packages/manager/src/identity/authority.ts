import type { Clock } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';
import type { NodeRow } from '@conclave/state';
import type { Authority, CurrentIdentity } from '@conclave/transport';
import type { ReplicatedState } from '../consensus/replicated-state.js';

/** A member that a joining manager was told of before it has any state of its own. */
export interface KnownManager {
  readonly nodeId: string;
  readonly raftId: number;
  readonly address: string;
}

/**
 * Who may do what right now, from committed state: the node exists, has this role, and the serial
 * of the certificate is one that its record accepts. Until a joining manager has received the
 * state, only the managers that its join answer named are known.
 */
export class StateAuthority implements Authority {
  readonly #replicated: ReplicatedState;
  readonly #clock: Clock;
  readonly #knownManagers: ReadonlyMap<string, KnownManager>;

  constructor(replicated: ReplicatedState, clock: Clock, knownManagers: readonly KnownManager[]) {
    this.#replicated = replicated;
    this.#clock = clock;
    this.#knownManagers = new Map(knownManagers.map((known) => [known.nodeId, known]));
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
    if (node === undefined) return undefined;
    return {
      kind: 'node',
      id: node.id,
      role: node.role,
      isActive: true,
      isSerialCurrent: this.#accepts(node, identity.serial),
    };
  }

  /** @inheritdoc */
  onChange(listener: () => void): () => void {
    return this.#replicated.listen((event) => {
      const mayTakeAway =
        event.kind === 'replaced' ||
        event.batch.changes.some((change) => change.kind === 'node' && change.action !== 'created');
      if (mayTakeAway) listener();
    });
  }

  #accepts(node: NodeRow, serial: string): boolean {
    if (node.certificate.serial === serial) return true;
    return node.previousCertificate?.serial === serial && this.#clock.now() <= node.previousUntilMs;
  }
}

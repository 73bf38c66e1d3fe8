import { toHex } from '@conclave/kernel';
import type { Clock, Timers } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';
import type { AdminRow, CertificateRow, Change, NodeRow } from '@conclave/state';
import type { Authority, CurrentIdentity } from '@conclave/transport';
import type { ReplicatedState } from '../consensus/replicated-state.js';
import { AddressSet } from './address-set.js';

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
 * Milliseconds from the first use of a certificate until its predecessor opens no connection any
 * more: what began with the old one at that moment may finish.
 */
const FIRST_USE_GRACE_MS = 10_000;

/**
 * Who may do what right now, from committed state: the node or administrator exists, has this role,
 * and the serial of the certificate is one that its record accepts. Until a joining manager has
 * received the state, only the managers that its join answer named are known.
 */
export class StateAuthority implements Authority {
  readonly #replicated: ReplicatedState;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #knownManagers: ReadonlyMap<string, KnownManager>;
  /** When each certificate was first seen here. Its row is made anew with a snapshot only. */
  readonly #firstUseMs = new WeakMap<CertificateRow, number>();
  /** One object per connection: those that were accepted keep their streams while they overlap. */
  readonly #connected = new WeakSet<CertificateIdentity>();
  /** Hosts of the addresses of managers; made anew after a change of one. */
  #managerHosts: AddressSet | undefined;

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
    this.#replicated.listen((event) => {
      if (event.kind === 'replaced' || event.batch.changes.some(isOfManager)) {
        this.#managerHosts = undefined;
      }
    });
  }

  /** @inheritdoc */
  currentIdentity(identity: CertificateIdentity): CurrentIdentity | undefined {
    if (identity.kind === 'admin') return this.#currentAdmin(identity);
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
      // The lower of both: a worker's certificate makes no manager, a demoted manager's neither.
      role: identity.role === 'manager' ? node.role : 'worker',
      isActive: true,
      isWaiting: node.waiting !== undefined,
      isSerialCurrent: this.#accepts(node, identity) || isNewer(node, identity),
    };
  }

  #currentAdmin(identity: CertificateIdentity): CurrentIdentity | undefined {
    const { id } = identity;
    const admin = this.#replicated.state.adminById(id);
    if (admin === undefined) return undefined;
    return {
      kind: 'admin',
      id,
      adminRoles: admin.roles,
      isActive: !admin.isRevoked,
      isSerialCurrent: this.#accepts(admin, identity),
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

  /** @inheritdoc */
  isManagerAddress(address: string): boolean {
    this.#managerHosts ??= this.#currentManagerHosts();
    return this.#managerHosts.has(address);
  }

  #currentManagerHosts(): AddressSet {
    const { state } = this.#replicated;
    const known = state.cluster() === undefined ? [...this.#knownManagers.values()] : [];
    const hosts = known.map(({ address }) => hostOf(address));
    for (const { manager } of state.nodes()) {
      if (manager !== undefined) hosts.push(hostOf(manager.clusterAddress));
    }
    return new AddressSet(hosts);
  }

  #accepts(row: NodeRow | AdminRow, identity: CertificateIdentity): boolean {
    const { certificate, previousCertificate, previousUntilMs } = row;
    const now = this.#clock.now();
    if (isOnRecord(certificate, identity)) {
      if (!this.#firstUseMs.has(certificate)) this.#firstUseMs.set(certificate, now);
    } else if (
      !isOnRecord(previousCertificate, identity) ||
      now > previousUntilMs ||
      (!this.#connected.has(identity) && this.#isInUse(certificate, now))
    ) {
      return false;
    }
    this.#connected.add(identity);
    return true;
  }

  #isInUse(certificate: CertificateRow, now: number): boolean {
    const sinceMs = this.#firstUseMs.get(certificate);
    return sinceMs !== undefined && now > sinceMs + FIRST_USE_GRACE_MS;
  }
}

/**
 * True when this is the certificate on record. Serial and key: who holds a key of a root makes
 * certificates with any serial, and serials are no secret, but they are on record for a key that he
 * does not have.
 */
export function isOnRecord(
  known: CertificateRow | undefined,
  { serial, spkiHash }: CertificateIdentity,
): boolean {
  return known?.serial === serial && known.publicKeyHash === toHex(spkiHash);
}

/**
 * True for a certificate that a manager got for the same key after the one on record. What records
 * it is in the log that comes over the very connection: who lags could not catch up, and managers
 * who were all off until their certificates ended could not elect anybody. Only who holds the key
 * of the root makes such a certificate, and a manager does.
 */
function isNewer(node: NodeRow, { notBeforeMs, spkiHash }: CertificateIdentity): boolean {
  const { certificate, role } = node;
  const isSameKey = toHex(spkiHash) === certificate.publicKeyHash;
  return role === 'manager' && isSameKey && notBeforeMs > certificate.notBeforeMs;
}

/** True for what may cost somebody a call; a node that was only seen or labelled keeps its own. */
function mayTakeAway(change: Change): boolean {
  if (change.kind === 'admin') {
    return hasLostSerial(change) || change.after?.isRevoked === true;
  }
  return change.kind === 'node' && (hasLostSerial(change) || hasOtherRole(change));
}

function isOfManager(change: Change): boolean {
  if (change.kind !== 'node') return false;
  return change.before?.manager !== undefined || change.after?.manager !== undefined;
}

/** The part of `host:port` or `[host]:port` that is a name or an IP address. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}

function hasOtherRole({ before, after }: Extract<Change, { kind: 'node' }>): boolean {
  return before !== undefined && before.role !== after?.role;
}

function hasLostSerial({ before, after }: Extract<Change, { kind: 'admin' | 'node' }>): boolean {
  if (before === undefined) return false;
  return (
    before.certificate.serial !== after?.certificate.serial ||
    before.previousCertificate?.serial !== after.previousCertificate?.serial
  );
}

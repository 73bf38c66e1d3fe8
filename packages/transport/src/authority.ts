import { ConclaveError } from '@conclave/kernel';
import type { AdminRole, Clock } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';
import { authorisationRow } from './authorisation.js';
import type { Caller, ListenerKind } from './authorisation.js';
import type { CallerKind } from './caller-budgets.js';
import type { Peer } from './peer.js';

/** What committed state says now about the holder of a certificate. */
export interface CurrentIdentity {
  readonly kind: 'node' | 'admin';
  readonly id: string;
  /** Of a node. An administrator has none. */
  readonly role?: 'manager' | 'worker' | undefined;
  /** Of an administrator; a call is allowed when any of them allows it. A node has none. */
  readonly adminRoles?: readonly AdminRole[] | undefined;
  /** False only for one whose removal is committed; who is not known yet has no answer at all. */
  readonly isActive: boolean;
  /** A node that has joined and waits for an administrator: it may call nothing. */
  readonly isWaiting?: boolean;
  /** The serial of the certificate is one that the record of the node accepts. */
  readonly isSerialCurrent: boolean;
}

/** Committed state, as the transport asks it for every call. Answers at once. */
export interface Authority {
  /** `undefined`: nobody that this cluster knows. */
  currentIdentity(identity: CertificateIdentity): CurrentIdentity | undefined;
  /**
   * Calls `listener` after each committed change that may take a right away: a node or administrator
   * removed, demoted or with another serial. Open calls are checked again then. Returns how to stop.
   */
  onChange(listener: () => void): () => void;
  /**
   * True for an IP address that a manager has in committed state, as far as it is on record. It is a
   * whole one, without a link, and IPv4 is never written as IPv6.
   */
  isManagerAddress(address: string): boolean;
}

function callersOf(current: CurrentIdentity): readonly Caller[] {
  if (current.kind === 'admin') return current.adminRoles ?? [];
  return current.role === undefined ? [] : [current.role];
}

function refuse(path: string): never {
  throw new ConclaveError('CV_ROLE_FORBIDDEN', 'this identity may not make this call', {
    details: { method: path },
  });
}

/** One call that asks to begin or to go on. */
export interface CallRequest {
  readonly path: string;
  readonly listener: ListenerKind;
  readonly peer: Peer;
}

/** What calls are checked against. */
export interface AuthorityView {
  /** Absent on listeners without certificates. */
  readonly authority: Authority | undefined;
  readonly clock: Clock;
}

/**
 * Returns what committed state says about the holder, when its certificate counts at all.
 * @throws CV_CERTIFICATE_EXPIRED when the connection has outlived its certificate.
 * @throws CV_NODE_REMOVED for a node whose removal is on record.
 * @throws CV_UNAUTHENTICATED for an unknown or replaced identity.
 */
function authenticate(
  identity: CertificateIdentity,
  { authority, clock }: AuthorityView,
): CurrentIdentity {
  if (clock.now() > identity.notAfterMs) {
    throw new ConclaveError('CV_CERTIFICATE_EXPIRED', 'the certificate has expired');
  }
  const current = authority?.currentIdentity(identity);
  if (current?.isActive === true && current.isSerialCurrent) return current;
  if (current?.kind === 'node' && !current.isActive) {
    throw new ConclaveError('CV_NODE_REMOVED', 'this node was removed from the cluster');
  }
  throw new ConclaveError('CV_UNAUTHENTICATED', 'the certificate is not accepted any more');
}

function acceptedIdentity(
  identity: CertificateIdentity,
  view: AuthorityView,
): CurrentIdentity | undefined {
  try {
    return authenticate(identity, view);
  } catch {
    return undefined;
  }
}

/** In which role of committed state the peer calls; in none when its certificate does not count. */
export function callerKind(peer: Peer, view: AuthorityView): CallerKind {
  if (peer.kind !== 'certificate') return peer.kind;
  const current = acceptedIdentity(peer.identity, view);
  if (current === undefined) return 'refused';
  return current.kind === 'admin' ? 'admin' : (current.role ?? 'worker');
}

/** True unless the certificate of the peer does not count any more. */
export function isAccepted(peer: Peer, view: AuthorityView): boolean {
  return callerKind(peer, view) !== 'refused';
}

function currentCallers(request: CallRequest, view: AuthorityView): readonly Caller[] {
  const { peer, path } = request;
  if (peer.kind !== 'certificate') return [peer.kind];
  const current = authenticate(peer.identity, view);
  const { kind, id } = peer.identity;
  if (current.kind !== kind || current.id !== id) refuse(path);
  if (current.isWaiting === true) {
    throw new ConclaveError('CV_APPROVAL_PENDING', 'this host waits for approval');
  }
  return callersOf(current);
}

/**
 * Returns when the call may go on. The role is that of committed state, never that of the
 * certificate alone.
 * @throws CV_CERTIFICATE_EXPIRED when the connection has outlived its certificate.
 * @throws CV_NODE_REMOVED for a node whose removal is on record.
 * @throws CV_UNAUTHENTICATED for an unknown or replaced identity.
 * @throws CV_APPROVAL_PENDING for a node that nobody has approved yet.
 * @throws CV_ROLE_FORBIDDEN for a method that has no row or whose row does not name the caller.
 */
export function authorise(request: CallRequest, view: AuthorityView): void {
  const callers = currentCallers(request, view);
  const allowed = authorisationRow(request.path)?.[request.listener] ?? [];
  if (!callers.some((caller) => allowed.includes(caller))) refuse(request.path);
}

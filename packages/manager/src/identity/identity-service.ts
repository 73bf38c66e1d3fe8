import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger } from '@conclave/kernel';
import { encodeRenewTranscript, verifyKeyProof } from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import type { State } from '@conclave/state';
import type { CallContext, Handlers } from '@conclave/transport';
import type {
  BecomeManagerRequest,
  BecomeManagerResponseInput,
  ConfirmRootsRequest,
  ConfirmRootsResponseInput,
  GetRoleResponseInput,
  LeaveResponseInput,
  RenewRequest,
  RenewResponseInput,
  Services,
} from '@conclave/wire';
import type { Proposer } from '../consensus/proposer.js';
import type { ManagerKeys } from '../keys/manager-keys.js';
import { trustedRoots } from '../keys/root-demand.js';
import { CERTIFICATE_OVERLAP_MS } from './issuer.js';
import type { IssueHolder, Issuer } from './issuer.js';
import { managersBut } from './new-manager.js';

/** What the identity service is made of. */
export interface IdentityServiceOptions {
  readonly state: () => State;
  readonly keys: ManagerKeys;
  readonly issuer: Issuer;
  readonly proposer: Proposer;
  /** Makes a manager of the worker that asks. */
  readonly promote: (
    caller: CertificateIdentity,
    asked: { readonly call: CallContext; readonly request: BecomeManagerRequest },
  ) => Promise<BecomeManagerResponseInput>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What the holder of a certificate does with it: renew it, or give it up. */
export class IdentityService implements Handlers<Services['Identity']> {
  readonly #options: IdentityServiceOptions;

  constructor(options: IdentityServiceOptions) {
    this.#options = options;
  }

  /**
   * A new certificate for the caller itself: same id, same role, a key whose possession it proves.
   * @throws CV_NODE_NOT_FOUND when the node was removed
   * @throws CV_ARGUMENT_INVALID for a malformed key or a proof that does not check
   */
  async renew(call: CallContext, request: RenewRequest): Promise<RenewResponseInput> {
    const caller = callerOf(call);
    const cluster = this.#options.state().cluster();
    const subject = this.#subjectOf(caller);
    if (cluster === undefined || subject === undefined) {
      throw new ConclaveError('CV_NODE_NOT_FOUND', 'this node is not a member any more');
    }
    const { kind, id, serial, clusterId } = caller;
    const { publicKey, proof } = request;
    const transcript = encodeRenewTranscript({ clusterId, id, serial, publicKey });
    if (!verifyKeyProof(publicKey, transcript, proof)) {
      throw new ConclaveError('CV_ARGUMENT_INVALID', 'the proof of the public key does not check');
    }
    const { clock, issuer, keys, logger, proposer } = this.#options;
    const ring = keys.requireRing();
    const issued = await issuer.issue(cluster, ring, { ...subject, spkiDer: publicKey });
    // A demoted manager that ends before it has stored the certificate of a worker asks once more,
    // whenever it is back; until then it has the rights of a worker with the one of before.
    const isOfEarlierRole =
      caller.role === 'manager' && 'role' in subject && subject.role === 'worker';
    const body = {
      kind: `${kind}.renew`,
      id,
      usedSerial: serial,
      certificate: issued.row,
      previousUntilMs: isOfEarlierRole ? caller.notAfterMs : clock.now() + CERTIFICATE_OVERLAP_MS,
    } as const;
    await proposer.commit({ kind, id }, body, { signal: call.signal });
    logger.info(`${kind}.renewed`, kind === 'node' ? { nodeId: id } : { adminId: id });
    // By now another root may be trusted besides, or in force.
    const rootCertificates = trustedRoots(this.#options.state().cluster() ?? cluster);
    return { certificate: issued.der, rootCertificates };
  }

  /**
   * Notes that the caller has taken a step of the roots, and which certificate it uses: that of this
   * connection, whatever it says.
   * @throws CV_STATE_STALE when another step is asked for by now
   */
  async confirmRoots(
    call: CallContext,
    { step }: ConfirmRootsRequest,
  ): Promise<ConfirmRootsResponseInput> {
    const { id, serial } = callerOf(call);
    const body = { kind: 'node.root', id, step, serial } as const;
    await this.#options.proposer.commit({ kind: 'node', id }, body, { signal: call.signal });
    return {};
  }

  /** A worker takes itself out; its identity ends with the same entry. */
  async leave(call: CallContext): Promise<LeaveResponseInput> {
    const { id: nodeId } = callerOf(call);
    const node = this.#options.state().nodeById(nodeId);
    if (node?.role === 'manager') {
      throw new ConclaveError('CV_ARGUMENT_INVALID', 'a manager leaves through its own socket');
    }
    const { index } = await this.#options.proposer.commit(
      { kind: 'node', id: nodeId },
      { kind: 'node.remove', id: nodeId, force: true },
      { signal: call.signal },
    );
    this.#options.logger.info('node.left', { nodeId });
    return { index };
  }

  /** What committed state says of the caller, as far as this manager has applied it. */
  getRole(call: CallContext): Promise<GetRoleResponseInput> {
    const state = this.#options.state();
    const node = state.nodeById(callerOf(call).id);
    if (node === undefined) {
      throw new ConclaveError('CV_NODE_NOT_FOUND', 'this node is not a member any more');
    }
    const { id, role, wantedRole } = node;
    return Promise.resolve({ role, wantedRole, managers: managersBut(id, state) });
  }

  /** @throws CV_ROLE_FORBIDDEN, CV_NODE_IN_USE, CV_PEER_UNREACHABLE, CV_ARGUMENT_INVALID */
  becomeManager(
    call: CallContext,
    request: BecomeManagerRequest,
  ): Promise<BecomeManagerResponseInput> {
    return this.#options.promote(callerOf(call), { call, request });
  }

  #subjectOf({ kind, id, role }: CertificateIdentity): IssueHolder | undefined {
    const state = this.#options.state();
    if (kind === 'node') {
      const node = state.nodeById(id);
      // A worker's certificate, kept for a lost answer, must not replace that of the manager.
      if (role === 'worker' && node?.role === 'manager') {
        throw new ConclaveError('CV_ROLE_FORBIDDEN', 'this node is a manager by now');
      }
      return node && { nodeId: id, role: node.role };
    }
    const admin = state.adminById(id);
    return admin && { adminId: id, ttlMs: admin.ttlMs };
  }
}

function callerOf(call: CallContext): CertificateIdentity {
  if (call.peer.kind === 'certificate') return call.peer.identity;
  throw new ConclaveError('CV_UNAUTHENTICATED', 'this call needs a certificate');
}

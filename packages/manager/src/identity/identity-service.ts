import { ConclaveError } from '@conclave/kernel';
import type { Clock, Logger } from '@conclave/kernel';
import { verifyKeyProof } from '@conclave/pki';
import type { State } from '@conclave/state';
import type { CallContext, Handlers } from '@conclave/transport';
import type {
  LeaveResponseInput,
  RenewRequest,
  RenewResponseInput,
  Services,
} from '@conclave/wire';
import type { Proposer } from '../consensus/proposer.js';
import type { ManagerKeys } from '../keys/manager-keys.js';
import { CERTIFICATE_OVERLAP_MS } from './issuer.js';
import type { Issuer } from './issuer.js';
import { encodeRenewTranscript } from './join-transcript.js';

/** What the identity service is made of. */
export interface IdentityServiceOptions {
  readonly state: () => State;
  readonly keys: ManagerKeys;
  readonly issuer: Issuer;
  readonly proposer: Proposer;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a member does with its own identity: renew it, or give it up. */
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
    const { clusterId, nodeId, serial } = callerOf(call);
    const state = this.#options.state();
    const cluster = state.cluster();
    const node = state.nodeById(nodeId);
    if (cluster === undefined || node === undefined) {
      throw new ConclaveError('CV_NODE_NOT_FOUND', 'this node is not a member any more');
    }
    const { publicKey, proof } = request;
    const transcript = encodeRenewTranscript({ clusterId, nodeId, serial, publicKey });
    if (!verifyKeyProof(publicKey, transcript, proof)) {
      throw new ConclaveError('CV_ARGUMENT_INVALID', 'the proof of the public key does not check');
    }
    const issued = await this.#options.issuer.issue(cluster, this.#options.keys.requireRing(), {
      nodeId,
      role: node.role,
      spkiDer: publicKey,
    });
    await this.#options.proposer.commit(
      { kind: 'node', id: nodeId },
      {
        kind: 'node.renew',
        id: nodeId,
        usedSerial: serial,
        certificate: issued.row,
        previousUntilMs: this.#options.clock.now() + CERTIFICATE_OVERLAP_MS,
      },
      { signal: call.signal },
    );
    this.#options.logger.info('node.renewed', { nodeId });
    return { certificate: issued.der, rootCertificates: [cluster.rootCertificate] };
  }

  /** A worker takes itself out; its identity ends with the same entry. */
  async leave(call: CallContext): Promise<LeaveResponseInput> {
    const { nodeId } = callerOf(call);
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
}

function callerOf(call: CallContext): { clusterId: string; nodeId: string; serial: string } {
  if (call.peer.kind !== 'certificate') {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'this call needs the certificate of a node');
  }
  const { clusterId, id, serial } = call.peer.identity;
  return { clusterId, nodeId: id, serial };
}

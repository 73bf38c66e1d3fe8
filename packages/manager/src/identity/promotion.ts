import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import { verifyKeyProof } from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import type { NodeRow } from '@conclave/state';
import { isOnNode } from '@conclave/state';
import type { CallContext } from '@conclave/transport';
import type { BecomeManagerRequest, BecomeManagerResponseInput } from '@conclave/wire';
import { recoveryMessage } from '../keys/recovery-message.js';
import type { IdentityServiceOptions } from './identity-service.js';
import { managerFields } from './join-fields.js';
import { demandReachable, drawRaftId, managersBut } from './new-manager.js';
import { encodePromotionTranscript } from './promotion-transcript.js';

/** What making managers of workers takes. */
export interface PromotionOptions extends Omit<IdentityServiceOptions, 'promote'> {
  /** True when something accepts connections at the address. */
  readonly dial: (address: string, timeoutMs: number) => Promise<boolean>;
  readonly random: Random;
}

/**
 * Gives a worker that was promoted the certificate of a manager for the new key whose possession it
 * proves, and lists it as one that joins. No secret is in the answer: the ring comes later, sealed to
 * the static key that is recorded here.
 * @throws CV_ROLE_FORBIDDEN when the node is not to become a manager
 * @throws CV_NODE_IN_USE while tasks run on it
 * @throws CV_PEER_UNREACHABLE when it does not answer at the address it gave
 */
export async function promoteCaller(
  options: PromotionOptions,
  caller: CertificateIdentity,
  { call, request }: { readonly call: CallContext; readonly request: BecomeManagerRequest },
): Promise<BecomeManagerResponseInput> {
  const { dial, issuer, keys, logger, proposer, random, state } = options;
  const { id: nodeId, serial } = caller;
  const cluster = state().cluster();
  const node = state().nodeById(nodeId);
  if (cluster === undefined || node === undefined) {
    throw new ConclaveError('CV_NODE_NOT_FOUND', 'this node is not a member any more');
  }
  checkWanted(options, node);
  const fields = checkedFields(cluster.id, caller, request);
  await demandReachable(dial, fields.clusterAddress);
  const issued = await issuer.issue(cluster, keys.requireRing(), {
    nodeId,
    role: 'manager',
    spkiDer: request.publicKey,
  });
  const manager = { ...fields, raftId: drawRaftId(state(), random) };
  const certificate = issued.row;
  await proposer.commit(
    { kind: 'node', id: nodeId },
    { kind: 'node.equip', id: nodeId, usedSerial: serial, certificate, manager },
    { signal: call.signal },
  );
  logger.info('node.promoted', { nodeId });
  const recovery = state().cluster()?.recovery ?? cluster.recovery;
  return {
    certificate: issued.der,
    // Another one when it asked before and lost the answer.
    raftId: state().nodeById(nodeId)?.manager?.raftId ?? manager.raftId,
    managers: managersBut(nodeId, state()),
    recovery: recoveryMessage(recovery),
  };
}

/** Apply has the last word; this saves a certificate and an entry while the tasks are moved away. */
function checkWanted({ state }: PromotionOptions, node: NodeRow): void {
  if (node.wantedRole !== 'manager') {
    throw new ConclaveError('CV_ROLE_FORBIDDEN', 'the node is not to become a manager');
  }
  if (
    !state()
      .tasksOfNode(node.id)
      .some((task) => isOnNode(task.state))
  )
    return;
  throw new ConclaveError('CV_NODE_IN_USE', 'tasks run on the node yet', { retryAfterMs: 500 });
}

function checkedFields(
  clusterId: string,
  { id: nodeId, serial }: CertificateIdentity,
  request: BecomeManagerRequest,
): NonNullable<ReturnType<typeof managerFields>> {
  const fields = managerFields(request, 'manager');
  if (fields === undefined) throw new ConclaveError('CV_INTERNAL', 'a manager without fields');
  const { publicKey, proof } = request;
  const transcript = encodePromotionTranscript({ ...fields, clusterId, nodeId, serial, publicKey });
  if (verifyKeyProof(publicKey, transcript, proof)) return fields;
  throw new ConclaveError('CV_ARGUMENT_INVALID', 'the proof of the public key does not check');
}

import { ConclaveError, limits, required, toHex } from '@conclave/kernel';
import {
  encodeRecoverTranscript,
  identityOf,
  isIssuedBy,
  publicKeyOf,
  verifyChain,
  verifyKeyProof,
} from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import type { ClusterRow, NodeRow } from '@conclave/state';
import type { CallContext } from '@conclave/transport';
import type { RecoverRequest, RecoverResponseInput } from '@conclave/wire';
import { recoveryRoots } from '../keys/root-demand.js';
import { isOnRecord } from './authority.js';
import { CERTIFICATE_OVERLAP_MS } from './issuer.js';
import type { JoinServiceOptions } from './join-service.js';

/** What a worker asks that wants to come back; its challenge was given here. */
interface Asked {
  readonly cluster: ClusterRow;
  readonly call: CallContext;
  readonly request: RecoverRequest;
}

/**
 * The next certificate for a worker whose own has ended, for the same key, in one entry. It needs
 * what a live worker needs to renew: a certificate of ours that is on record, and its key. Nothing
 * but the certificate is in the answer.
 * @throws CV_UNAUTHENTICATED when the certificate is not the one on record
 * @throws CV_CA_MISMATCH, CV_CERTIFICATE_EXPIRED when no root that counts issued it, or too long ago
 * @throws CV_ARGUMENT_INVALID when the proof of the key does not check
 * @throws CV_NODE_REMOVED, CV_APPROVAL_PENDING, CV_ROLE_FORBIDDEN for what the node is by now
 */
export async function recoverWorker(
  options: JoinServiceOptions,
  { cluster, call, request }: Asked,
): Promise<RecoverResponseInput> {
  const { clock, issuer, keys, logger, proposer, state } = options;
  const identity = identityOf(request.certificate);
  // Cheap things first: whoever asks has shown nothing yet.
  const node = await findOnRecord(options, identity);
  checkIssued(cluster, request.certificate, clock.now());
  checkProof(options, { cluster, identity, request });
  const { id } = checkMember(node);
  const subject = {
    nodeId: id,
    role: 'worker',
    spkiDer: publicKeyOf(request.certificate),
  } as const;
  // Read anew: a rotation of the root may have gone on meanwhile.
  const issued = await issuer.issue(state().cluster() ?? cluster, keys.requireRing(), subject);
  const body = {
    kind: 'node.renew',
    id,
    usedSerial: identity.serial,
    certificate: issued.row,
    previousUntilMs: clock.now() + CERTIFICATE_OVERLAP_MS,
  } as const;
  await proposer.commit({ kind: 'node', id }, body, { signal: call.signal });
  logger.info('node.recovered', { nodeId: id });
  return { certificate: issued.der };
}

/** The node with this certificate on record; undefined for one that was removed. */
async function findOnRecord(
  { confirm, state }: JoinServiceOptions,
  identity: CertificateIdentity,
): Promise<NodeRow | undefined> {
  if (identity.role !== 'worker') {
    throw new ConclaveError(
      'CV_ROLE_FORBIDDEN',
      'only workers come back with an ended certificate',
    );
  }
  const look = (): NodeRow | 'removed' | undefined => {
    const node = state().nodeById(identity.id);
    if (node !== undefined) return hasOnRecord(node, identity) ? node : undefined;
    return state().isRemovedNode(identity.id) ? 'removed' : undefined;
  };
  let found = look();
  if (found === undefined) {
    // The record may be younger than what this manager has applied.
    await confirm();
    found = look();
  }
  if (found === undefined) {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'this certificate is not the one on record');
  }
  return found === 'removed' ? undefined : found;
}

/** The one before counts too: the answer with the newest may have got lost. Its key does not. */
function hasOnRecord(node: NodeRow, identity: CertificateIdentity): boolean {
  const { certificate, previousCertificate } = node;
  const isKnown = [certificate, previousCertificate].some((row) => isOnRecord(row, identity));
  return isKnown && toHex(identity.spkiHash) === certificate.publicKeyHash;
}

function checkIssued(cluster: ClusterRow, leafDer: Uint8Array, now: number): void {
  const roots = recoveryRoots(cluster);
  const issuer = roots.find((root) => isIssuedBy(leafDer, root)) ?? roots[0];
  const rootDer = required(issuer, 'root');
  const expiredGraceMs = limits.RECOVERY_MS_MAX;
  verifyChain({ leafDer, rootDer, now, usage: 'client', expiredGraceMs });
}

function checkProof(
  { serverCertificateHash }: JoinServiceOptions,
  {
    cluster,
    identity,
    request,
  }: Pick<Asked, 'cluster' | 'request'> & { readonly identity: CertificateIdentity },
): void {
  const transcript = encodeRecoverTranscript({
    clusterId: cluster.id,
    nodeId: identity.id,
    serial: identity.serial,
    nonce: request.nonce,
    serverCertificateHash: serverCertificateHash(),
  });
  if (verifyKeyProof(publicKeyOf(request.certificate), transcript, request.proof)) return;
  throw new ConclaveError('CV_ARGUMENT_INVALID', 'the proof of the key does not check');
}

/** What only the holder of the key is told. */
function checkMember(node: NodeRow | undefined): NodeRow {
  if (node === undefined) {
    throw new ConclaveError('CV_NODE_REMOVED', 'this node was removed from the cluster');
  }
  if (node.waiting !== undefined) {
    throw new ConclaveError('CV_APPROVAL_PENDING', 'nobody has approved this node yet');
  }
  if (node.role === 'worker') return node;
  throw new ConclaveError('CV_ROLE_FORBIDDEN', 'this node is a manager by now');
}

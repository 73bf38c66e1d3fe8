import { ConclaveError, equalBytes, required } from '@conclave/kernel';
import {
  createFreshKeys,
  encodePromotionTranscript,
  recoveryOf,
  wipeFreshKeys,
} from '@conclave/manager';
import {
  encodeRenewTranscript,
  generateNodeKey,
  identityOf,
  isIssuedBy,
  proveKey,
  verifyChain,
} from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import type {
  BecomeManagerRequestInput,
  BecomeManagerResponse,
  RenewRequestInput,
} from '@conclave/wire';
import { advertisedAddresses } from './advertise.js';
import { holdPorts } from './dial.js';
import type { MemberIdentity } from './identity-file.js';
import { rememberedManagers } from './join-cluster.js';
import type { JoinedHost } from './join-cluster.js';
import type { Surroundings } from './member.js';
import { spkiHashOf } from './public-key.js';

/**
 * Asks for the role of a manager, with new keys. Nothing is stored: when the answer is lost the host
 * stays a worker and asks again.
 * @throws CV_NODE_IN_USE while tasks run here, CV_ROLE_FORBIDDEN when it was called off
 */
export async function obtainManagerRole(
  around: Surroundings,
  member: MemberIdentity,
  ask: (request: BecomeManagerRequestInput) => Promise<BecomeManagerResponse>,
): Promise<JoinedHost> {
  const { clusterPort, joinPort, listenHost } = around.config;
  const fresh = createFreshKeys(around.random);
  const key = generateNodeKey();
  try {
    const { clusterAddress, joinAddress } = advertisedAddresses('', around.config);
    const said = {
      clusterAddress,
      joinAddress,
      publicKey: key.spkiDer,
      staticPublicKey: fresh.static.publicKey,
      signingPublicKey: fresh.signing.publicKey,
    };
    const { clusterId, nodeId } = member;
    const { serial } = identityOf(member.certificateDer);
    const transcript = encodePromotionTranscript({ ...said, clusterId, nodeId, serial });
    const held = await holdPorts(listenHost, [clusterPort, joinPort]);
    const proof = proveKey(key.privateKeyPem, transcript);
    let answer: BecomeManagerResponse;
    try {
      answer = await ask({ ...said, proof });
    } finally {
      await held.close();
    }
    const identity: MemberIdentity = {
      ...member,
      role: 'manager',
      raftId: answer.raftId,
      certificateDer: checked(around, member, { der: answer.certificate, role: 'manager', key }),
      managers: rememberedManagers(answer.managers),
    };
    const recovery = recoveryOf(answer.recovery);
    return {
      identity,
      privateKeyPem: key.privateKeyPem,
      fresh,
      recovery,
      waitsForApproval: false,
    };
  } catch (error) {
    key.privateKeyPem.fill(0);
    wipeFreshKeys(fresh);
    throw error;
  }
}

/** Asks for the certificate of a worker, with a new key: that of the manager goes with its keys. */
export async function obtainWorkerRole(
  around: Surroundings,
  member: MemberIdentity,
  ask: (request: RenewRequestInput) => Promise<Uint8Array>,
): Promise<JoinedHost> {
  const key = generateNodeKey();
  try {
    const { clusterId, nodeId: id } = member;
    const { serial } = identityOf(member.certificateDer);
    const publicKey = key.spkiDer;
    const transcript = encodeRenewTranscript({ clusterId, id, serial, publicKey });
    const der = await ask({ publicKey, proof: proveKey(key.privateKeyPem, transcript) });
    const certificateDer = checked(around, member, { der, role: 'worker', key });
    const identity: MemberIdentity = { ...member, role: 'worker', raftId: 0, certificateDer };
    return {
      identity,
      privateKeyPem: key.privateKeyPem,
      fresh: undefined,
      recovery: undefined,
      waitsForApproval: false,
    };
  } catch (error) {
    key.privateKeyPem.fill(0);
    throw error;
  }
}

/** What is stored is what the next start depends on. @throws CV_PROTOCOL */
function checked(
  { clock }: Surroundings,
  { clusterId, nodeId, rootsDer }: MemberIdentity,
  got: {
    readonly der: Uint8Array;
    readonly role: MemberIdentity['role'];
    readonly key: NodeKey;
  },
): Uint8Array {
  const leafDer = Uint8Array.from(got.der);
  const issuer = rootsDer.find((root) => isIssuedBy(leafDer, root)) ?? rootsDer[0];
  const rootDer = required(issuer, 'root');
  const named = verifyChain({ leafDer, rootDer, now: clock.now(), usage: 'client' });
  const isOurs = named.id === nodeId && named.clusterId === clusterId;
  const isOurKey = equalBytes(named.spkiHash, spkiHashOf(got.key.spkiDer));
  if (isOurs && isOurKey && named.role === got.role) return leafDer;
  throw new ConclaveError('CV_PROTOCOL', `the new certificate is not that of this ${got.role}`);
}

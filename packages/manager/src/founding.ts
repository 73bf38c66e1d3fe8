import type { Clock, Random } from '@conclave/kernel';
import { limits } from '@conclave/kernel';
import { createRoot } from '@conclave/pki';
import { KeyRing, SecretBytes, spend } from '@conclave/sealed';
import type { CertificateRow, ClusterRow, CommandBody, RecoveryRow } from '@conclave/state';
import { Issuer, rootSerial } from './identity/issuer.js';
import type { FreshKeys } from './keys/manager-keys.js';

/** Number of the root that a cluster begins with. */
const FIRST_ROOT = 1;

/** What the first manager says of itself. */
export interface FounderDescription {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly raftId: number;
  readonly hostname: string;
  readonly platformOs: string;
  readonly version: string;
  readonly clusterAddress: string;
  readonly joinAddress: string;
  /** SPKI of its TLS key. */
  readonly publicKey: Uint8Array;
  readonly keys: FreshKeys;
  /** The public half of the recovery key. */
  readonly recovery: RecoveryRow;
}

/** Everything a new cluster begins with. */
export interface Founding {
  readonly ring: KeyRing;
  readonly certificate: Uint8Array;
  readonly rootCertificate: Uint8Array;
  /** The first entry of the log. */
  readonly body: Extract<CommandBody, { kind: 'cluster.create' }>;
}

/**
 * Makes a cluster: root, ring, the founder's certificate and the first entry. Stores nothing. The ring
 * is the caller's to wipe.
 */
export async function foundCluster(
  founder: FounderDescription,
  clock: Clock,
  random: Random,
): Promise<Founding> {
  const ring = KeyRing.create(random);
  try {
    return await foundWith(ring, founder, { clock, random });
  } catch (error) {
    ring.wipe();
    throw error;
  }
}

async function foundWith(
  ring: KeyRing,
  founder: FounderDescription,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Founding> {
  const { nodeId } = founder;
  const now = clock.now();
  const cluster = await createClusterRow(founder, ring, { now, random });
  const issued = await new Issuer(clock, random).issue({ ...cluster, objectVersion: 0 }, ring, {
    nodeId,
    role: 'manager',
    spkiDer: founder.publicKey,
  });
  return {
    ring,
    certificate: issued.der,
    rootCertificate: cluster.rootCertificate,
    body: {
      kind: 'cluster.create',
      cluster,
      node: founderNode(founder, { certificate: issued.row, now, generation: ring.generation }),
    },
  };
}

async function createClusterRow(
  { clusterId, recovery }: FounderDescription,
  ring: KeyRing,
  { now, random }: { readonly now: number; readonly random: Random },
): Promise<Omit<ClusterRow, 'objectVersion'>> {
  const root = await createRoot({ clusterId, now, random });
  const place = { clusterId, serial: rootSerial(FIRST_ROOT), random };
  const rootKeySealed = spend(SecretBytes.take(root.privateKeyPkcs8), (key) =>
    ring.sealCaKey({ ...place, key }),
  );
  return {
    id: clusterId,
    createdAtMs: now,
    epoch: 1,
    rootCertificate: root.certificateDer,
    rootKeySealed,
    rootKeyId: ring.currentKeyId,
    rootGeneration: FIRST_ROOT,
    rootStep: 0,
    rootRotation: undefined,
    formerRoots: [],
    ringGeneration: ring.generation,
    ringKeyId: ring.currentKeyId,
    ringCommitment: ring.commitment(ring.currentKeyId),
    ringRotatedAtMs: now,
    ringRotation: undefined,
    recovery,
    stagedRecovery: undefined,
    stagedRecoveryBy: [],
    oldRecoveryOn: [],
    compromise: undefined,
    settings: {
      secretValueBytesMax: limits.SECRET_VALUE_BYTES_DEFAULT,
      heartbeatPeriodMs: limits.HEARTBEAT_PERIOD_MS,
      certificates: limits.CERTIFICATES_DEFAULT,
    },
  };
}

function founderNode(
  founder: FounderDescription,
  made: { readonly certificate: CertificateRow; readonly now: number; readonly generation: number },
): Founding['body']['node'] {
  const { certificate, now, generation } = made;
  return {
    id: founder.nodeId,
    hostname: founder.hostname,
    role: 'manager',
    wantedRole: 'manager',
    state: 'READY',
    stateAtMs: now,
    message: '',
    availability: 'active',
    labels: {},
    platformOs: founder.platformOs,
    daemonVersion: founder.version,
    executors: [],
    certificate,
    previousCertificate: undefined,
    previousUntilMs: 0,
    manager: {
      raftId: founder.raftId,
      clusterAddress: founder.clusterAddress,
      joinAddress: founder.joinAddress,
      staticPublicKey: founder.keys.static.publicKey,
      signingPublicKey: founder.keys.signing.publicKey,
      membership: 'voter',
      ringGeneration: generation,
    },
    waiting: undefined,
    sessionId: '',
    rootStep: 0,
    sessionCount: 0,
    tokenId: '',
    createdAtMs: now,
  };
}

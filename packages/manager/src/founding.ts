import type { Clock, Random } from '@conclave/kernel';
import { limits } from '@conclave/kernel';
import { createRoot } from '@conclave/pki';
import { KeyRing, SecretBytes } from '@conclave/sealed';
import type { ClusterRow, CommandBody } from '@conclave/state';
import { Issuer, ROOT_SERIAL } from './identity/issuer.js';
import type { FreshKeys } from './keys/manager-keys.js';

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
}

/** Everything a new cluster begins with. */
export interface Founding {
  readonly ring: KeyRing;
  readonly certificate: Uint8Array;
  readonly rootCertificate: Uint8Array;
  /** The first entry of the log. */
  readonly body: Extract<CommandBody, { kind: 'cluster.create' }>;
}

/** Makes a cluster: root, ring, the founder's certificate and the first entry. Stores nothing. */
export async function foundCluster(
  founder: FounderDescription,
  clock: Clock,
  random: Random,
): Promise<Founding> {
  const { clusterId, nodeId, hostname, platformOs, version } = founder;
  const now = clock.now();
  const ring = KeyRing.create(random);
  const cluster = await createClusterRow(clusterId, ring, { now, random });
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
      node: {
        id: nodeId,
        hostname,
        role: 'manager',
        state: 'READY',
        stateAtMs: now,
        message: '',
        availability: 'active',
        labels: {},
        platformOs,
        daemonVersion: version,
        executors: [],
        certificate: issued.row,
        previousCertificate: undefined,
        previousUntilMs: 0,
        manager: {
          raftId: founder.raftId,
          clusterAddress: founder.clusterAddress,
          joinAddress: founder.joinAddress,
          staticPublicKey: founder.keys.static.publicKey,
          signingPublicKey: founder.keys.signing.publicKey,
          membership: 'voter',
          ringGeneration: ring.generation,
        },
        sessionId: '',
        sessionCount: 0,
        tokenId: '',
        createdAtMs: now,
      },
    },
  };
}

async function createClusterRow(
  clusterId: string,
  ring: KeyRing,
  { now, random }: { readonly now: number; readonly random: Random },
): Promise<Omit<ClusterRow, 'objectVersion'>> {
  const root = await createRoot({ clusterId, now, random });
  const key = SecretBytes.take(root.privateKeyPkcs8);
  const rootKeySealed = ring.sealCaKey({ clusterId, serial: ROOT_SERIAL, key, random });
  key.wipe();
  return {
    id: clusterId,
    createdAtMs: now,
    epoch: 1,
    rootCertificate: root.certificateDer,
    rootKeySealed,
    rootKeyId: ring.currentKeyId,
    ringGeneration: ring.generation,
    ringKeyId: ring.currentKeyId,
    ringRotatedAtMs: now,
    ringRotation: undefined,
    settings: {
      secretValueBytesMax: limits.SECRET_VALUE_BYTES_DEFAULT,
      heartbeatPeriodMs: limits.HEARTBEAT_PERIOD_MS,
      raftTimeScale: 1,
    },
  };
}

import { beforeEach, describe, expect, test } from '@jest/globals';
import { limits, SILENT_LOGGER } from '@conclave/kernel';
import {
  encodeRecoverTranscript,
  generateNodeKey,
  identityOf,
  proveKey,
  verifyChain,
} from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { hash } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type { RecoverRequest, RecoverRequestInput } from '@conclave/wire';
import { certificateRow, Issuer } from '../../src/identity/issuer.js';
import type { IssueHolder } from '../../src/identity/issuer.js';
import { JoinService } from '../../src/identity/join-service.js';
import { callOf } from '../calls.js';
import { CLUSTER_ID, FoundedCluster } from '../founded-cluster.js';

const DAY_MS = 24 * 3_600_000;

let cluster: FoundedCluster;
let service: JoinService;
let key: NodeKey;
let worker: string;
let certificate: Uint8Array;
/** Runs while the manager waits for the leader's word. */
let onConfirm: () => void;

beforeEach(async () => {
  cluster = await FoundedCluster.running();
  onConfirm = () => undefined;
  const { time, random, keys, proposer, founding } = cluster;
  service = new JoinService({
    state: () => cluster.state,
    keys,
    issuer: new Issuer(time, random),
    proposer,
    confirm: () => Promise.resolve(onConfirm()),
    serverCertificateHash: () => hash(founding.certificate),
    dial: () => Promise.resolve(true),
    clock: time,
    random,
    logger: SILENT_LOGGER,
  });
  key = generateNodeKey();
  worker = 'one'.padEnd(26, 'a');
  certificate = await issue({ nodeId: worker, role: 'worker' }, key);
  cluster.addWorker('one', { certificate: certificateRow(certificate, 1) });
});

async function issue(holder: IssueHolder, holderKey: NodeKey): Promise<Uint8Array> {
  const row = cluster.state.cluster();
  if (row === undefined) throw new Error('there is no cluster');
  const issuer = new Issuer(cluster.time, cluster.random);
  const subject = { ...holder, spkiDer: holderKey.spkiDer };
  return (await issuer.issue(row, cluster.keys.requireRing(), subject)).der;
}

interface Asked {
  readonly held?: Uint8Array;
  readonly provenBy?: NodeKey;
  readonly serverCertificateHash?: Uint8Array;
  readonly sent?: RecoverRequestInput;
}

async function request(asked: Asked = {}): Promise<RecoverRequest> {
  const { held = certificate, provenBy = key } = asked;
  const challenge = await service.challenge();
  const nonce = challenge.nonce ?? new Uint8Array(0);
  const { id: nodeId, serial } = identityOf(held);
  const transcript = encodeRecoverTranscript({
    clusterId: CLUSTER_ID,
    nodeId,
    serial,
    nonce,
    serverCertificateHash:
      asked.serverCertificateHash ?? challenge.serverCertificateHash ?? new Uint8Array(0),
  });
  const proof = proveKey(provenBy.privateKeyPem, transcript);
  const method = loadWire().Join.Recover;
  const message = { nonce, certificate: held, proof, ...asked.sent };
  return method.decodeRequest(method.encodeRequest(message));
}

async function recover(asked?: Asked): Promise<Uint8Array> {
  const answer = await service.recover(callOf(), await request(asked));
  return answer.certificate as Uint8Array;
}

async function refused(asked: Asked, code: string): Promise<void> {
  const before = cluster.proposals.length;
  await expect(recover(asked)).rejects.toMatchObject({ code });
  expect(cluster.proposals).toHaveLength(before);
}

/** Long after its end, and within the bound. */
const later = (): void => cluster.time.jump(10 * DAY_MS);

describe('a worker whose certificate has ended', () => {
  test('gets the next one for the same key, with one entry', async () => {
    later();
    const next = await recover();
    const rootDer = cluster.founding.rootCertificate;
    const chain = { leafDer: next, rootDer, now: cluster.time.now(), usage: 'client' } as const;
    const identity = verifyChain(chain);
    expect(identity).toMatchObject({ id: worker, role: 'worker', clusterId: CLUSTER_ID });
    expect(identity.spkiHash).toEqual(identityOf(certificate).spkiHash);
    expect(cluster.state.nodeById(worker)?.certificate).toEqual(certificateRow(next, 1));
    expect(cluster.proposals).toMatchObject([{ kind: 'node.renew', id: worker }]);
  });

  test('that has lost the answer asks again with what it has', async () => {
    later();
    await recover();
    const next = await recover();
    expect(cluster.state.nodeById(worker)?.certificate.serial).toBe(identityOf(next).serial);
    // Only the newest and the one it came with count.
    const third = await recover({ held: next });
    await refused({}, 'CV_UNAUTHENTICATED');
    expect(cluster.state.nodeById(worker)?.certificate.serial).toBe(identityOf(third).serial);
  });

  test('comes back within the bound, and not behind it', async () => {
    const { notAfterMs } = identityOf(certificate);
    cluster.time.jump(notAfterMs + limits.RECOVERY_MS_MAX + 1 - cluster.time.now());
    await refused({}, 'CV_CERTIFICATE_EXPIRED');
    cluster.time.jump(-1);
    await recover();
  });

  test('is known although this manager lags behind the entry of its last renewal', async () => {
    const next = await issue({ nodeId: worker, role: 'worker' }, key);
    later();
    await refused({ held: next }, 'CV_UNAUTHENTICATED');
    onConfirm = () =>
      cluster.apply({
        kind: 'node.renew',
        id: worker,
        usedSerial: identityOf(certificate).serial,
        certificate: certificateRow(next, 1),
        previousUntilMs: 0,
      });
    await recover({ held: next });
  });
});

describe('no other', () => {
  beforeEach(later);

  test('key than that of the certificate on record gets one', async () => {
    await refused({ provenBy: generateNodeKey() }, 'CV_ARGUMENT_INVALID');
    // A certificate of the same name for another key, as only who holds the root could make it.
    const other = generateNodeKey();
    const held = await issue({ nodeId: worker, role: 'worker' }, other);
    await refused({ held, provenBy: other }, 'CV_UNAUTHENTICATED');
  });

  test('serial than those on record gets one, whatever its key', async () => {
    const held = await issue({ nodeId: worker, role: 'worker' }, key);
    await refused({ held }, 'CV_UNAUTHENTICATED');
  });

  test('issuer than a root of this cluster is believed', async () => {
    // One byte of the signature: names, serial and key are those on record.
    const held = Uint8Array.from(certificate);
    held[held.length - 1] = (held.at(-1) ?? 0) ^ 1;
    await refused({ held }, 'CV_CA_MISMATCH');
  });

  test('challenge than one of this manager, for this certificate of it, is taken', async () => {
    await refused({ sent: { nonce: new Uint8Array(32) } }, 'CV_PROTOCOL');
    await refused({ serverCertificateHash: new Uint8Array(32) }, 'CV_ARGUMENT_INVALID');
    const asked = await request();
    await service.recover(callOf(), asked);
    await expect(service.recover(callOf(), asked)).rejects.toMatchObject({ code: 'CV_PROTOCOL' });
  });

  test('node than one that is listed gets one: the holder of the key hears what became of it', async () => {
    cluster.apply({ kind: 'node.remove', id: worker, force: true });
    await refused({}, 'CV_NODE_REMOVED');
    await refused({ provenBy: generateNodeKey() }, 'CV_ARGUMENT_INVALID');
    const stranger = await issue({ nodeId: 'no'.padEnd(26, 'a'), role: 'worker' }, key);
    await refused({ held: stranger }, 'CV_UNAUTHENTICATED');
  });

  test('kind of identity gets one: managers make their own, administrators ask a person', async () => {
    const { founderKey, founding } = cluster;
    await refused({ held: founding.certificate, provenBy: founderKey }, 'CV_ROLE_FORBIDDEN');
    const ann = await issue({ adminId: 'ann'.padEnd(26, 'a'), ttlMs: DAY_MS }, key);
    await refused({ held: ann }, 'CV_ROLE_FORBIDDEN');
  });
});

test('a host that waits for approval gets none before', async () => {
  const id = 'two'.padEnd(26, 'a');
  const own = generateNodeKey();
  const held = await issue({ nodeId: id, role: 'worker' }, own);
  cluster.addWaiting('two', { certificate: certificateRow(held, 1) });
  later();
  await refused({ held, provenBy: own }, 'CV_APPROVAL_PENDING');
  cluster.apply({ kind: 'node.approve', id });
  await recover({ held, provenBy: own });
});

import { beforeEach, describe, expect, test } from '@jest/globals';
import { generateNodeKey, identityOf } from '@conclave/pki';
import { Issuer } from '../../src/identity/issuer.js';
import { OwnCertificate } from '../../src/identity/own-certificate.js';
import { FoundedCluster, FOUNDER_ID } from '../founded-cluster.js';

let cluster: FoundedCluster;
let inUse: Uint8Array;
let isRefused: boolean;

beforeEach(async () => {
  cluster = await FoundedCluster.running();
  inUse = cluster.founding.certificate;
  isRefused = false;
});

function ownOf(nodeId: string): OwnCertificate {
  const { keys, proposer, random, time } = cluster;
  return new OwnCertificate({
    nodeId,
    identity: {
      current: () => ({
        certificatesDer: [inUse],
        privateKeyPem: new Uint8Array(0),
        rootsDer: [cluster.founding.rootCertificate],
      }),
    },
    state: () => cluster.state,
    ring: () => keys.requireRing(),
    issuer: new Issuer(time, random),
    proposer,
    isRefused: () => isRefused,
    clock: time,
  });
}

describe('the certificate of a manager itself', () => {
  test('is recorded in place of the one in use, which stays for the overlap', async () => {
    const own = ownOf(FOUNDER_ID);
    expect(own.isRecorded).toBe(true);
    const next = await own.issue(cluster.founderKey.spkiDer);
    await own.record(next.row, { overlapMs: 1_000 });
    expect(cluster.state.nodeById(FOUNDER_ID)).toMatchObject({
      certificate: { serial: identityOf(next.der).serial },
      previousCertificate: { serial: identityOf(inUse).serial },
    });
    expect(own.isRecorded).toBe(true);
    cluster.time.jump(1_001);
    expect(own.isRecorded).toBe(false);
    inUse = next.der;
    expect(own.isRecorded).toBe(true);
  });

  test('that no record knows takes the place of the newest on record', async () => {
    const own = ownOf(FOUNDER_ID);
    inUse = (await own.issue(cluster.founderKey.spkiDer)).der;
    expect(own.isRecorded).toBe(false);
    const next = await own.issue(cluster.founderKey.spkiDer);
    await own.record(next.row, { overlapMs: 1_000 });
    expect(cluster.state.nodeById(FOUNDER_ID)?.certificate).toEqual(next.row);
  });
});

describe('a host that is no manager any more makes no certificate', () => {
  const spkiDer = generateNodeKey().spkiDer;

  test('because all others refuse it', async () => {
    isRefused = true;
    const issued = ownOf(FOUNDER_ID).issue(spkiDer);
    await expect(issued).rejects.toMatchObject({ code: 'CV_NODE_REMOVED' });
  });

  test('because its tables call it a worker, or removed', async () => {
    const worker = cluster.addWorker('one');
    const own = ownOf(worker);
    await expect(own.issue(spkiDer)).rejects.toMatchObject({ code: 'CV_NODE_REMOVED' });
    cluster.apply({ kind: 'node.remove', id: worker, force: true });
    await expect(own.issue(spkiDer)).rejects.toMatchObject({ code: 'CV_NODE_REMOVED' });
  });

  test('because its tables do not know it yet', async () => {
    const issued = ownOf('other'.padEnd(26, 'a')).issue(spkiDer);
    await expect(issued).rejects.toMatchObject({ code: 'CV_STATE_STALE' });
  });
});

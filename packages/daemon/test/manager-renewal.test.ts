import { beforeAll, expect, test } from '@jest/globals';
import { generateNodeKey, identityOf } from '@conclave/pki';
import type { CertificateIdentity, NodeKey } from '@conclave/pki';
import { CLUSTER_ID, FOUNDER_ID, FoundedCluster } from '../../manager/test/founded-cluster.js';
import { Issuer } from '../../manager/src/identity/issuer.js';
import type { IssuedCertificate } from '../../manager/src/identity/issuer.js';
import type { IdentityFile, MemberIdentity } from '../src/identity-file.js';
import { renewManager } from '../src/manager-renewal.js';
import { MemberRecord } from '../src/member-record.js';
import { WorkerCertificate } from '../src/worker-certificate.js';

const LIFE_MS = 7 * 24 * 3_600_000;

let cluster: FoundedCluster;
let key: NodeKey;
let record: MemberRecord;
const stored: MemberIdentity[] = [];
const asked: string[] = [];

/** Thrown instead of storing, while set. */
let diskFailure: Error | undefined;
/** What has happened up to the moment at which a commit is asked for. */
let onCommit: () => Promise<void> = () => Promise.resolve();

const own = {
  issue: (spkiDer: Uint8Array): Promise<IssuedCertificate> => {
    asked.push('issue');
    return issue(spkiDer);
  },
  record: async (): Promise<void> => {
    asked.push('record');
    await onCommit();
  },
  isRecorded: true,
};

function issue(spkiDer: Uint8Array): Promise<IssuedCertificate> {
  const row = cluster.state.cluster();
  if (row === undefined) throw new Error('no cluster');
  const subject = { nodeId: FOUNDER_ID, role: 'manager', spkiDer } as const;
  const issuer = new Issuer(cluster.time, cluster.random);
  return issuer.issue(row, cluster.keys.requireRing(), subject);
}

const renew = (): Promise<void> =>
  renewManager({ record, own, clock: cluster.time, signal: new AbortController().signal });

beforeAll(async () => {
  cluster = await FoundedCluster.running();
  key = generateNodeKey();
  const { der } = await issue(key.spkiDer);
  const { rootCertificate } = cluster.founding;
  const file = {
    write: (member: MemberIdentity) => {
      if (diskFailure !== undefined) return Promise.reject(diskFailure);
      stored.push(member);
      return Promise.resolve();
    },
  };
  const member: MemberIdentity = {
    clusterId: CLUSTER_ID,
    nodeId: FOUNDER_ID,
    role: 'manager',
    raftId: 1,
    certificateDer: der,
    rootsDer: [rootCertificate],
    crossDer: new Uint8Array(0),
    managers: [],
  };
  record = new MemberRecord(file as unknown as IdentityFile, member, key.privateKeyPem);
});

const identityShown = (): CertificateIdentity => {
  const [shown = new Uint8Array(0)] = record.identity.current().certificatesDer;
  return identityOf(shown);
};
const serialStored = (): string =>
  identityOf(stored.at(-1)?.certificateDer ?? new Uint8Array(0)).serial;
const pass = (ms: number): Promise<void> => cluster.time.advance(ms, () => Promise.resolve());
const done = (): Promise<void> => Promise.resolve();

test('a certificate that is valid is renewed through the log only', async () => {
  const before = identityShown().serial;
  onCommit = () => {
    expect(identityShown().serial).toBe(before);
    return done();
  };
  await renew();
  expect(asked.splice(0)).toEqual(['issue', 'record']);
  expect(stored).toHaveLength(1);
  expect(identityShown().serial).toBe(serialStored());
});

test('one that has ended is replaced before anybody is asked, and stored when it is recorded', async () => {
  await pass(2 * LIFE_MS);
  const now = cluster.time.now();
  onCommit = () => {
    // Shown already: without it no other manager would listen.
    expect(identityShown().notAfterMs).toBeGreaterThan(now);
    return Promise.reject(new Error('no leader'));
  };
  await expect(renew()).rejects.toThrow('no leader');
  expect(asked.splice(0)).toEqual(['issue', 'record']);
  // Made by a clock that nobody has confirmed: the stored one stays.
  expect(stored).toHaveLength(1);
  own.isRecorded = false;
  onCommit = done;
  const before = identityShown().serial;
  await renew();
  expect(asked.splice(0)).toEqual(['issue', 'record']);
  expect(identityShown().serial).not.toBe(before);
  expect(identityShown().serial).toBe(serialStored());
  own.isRecorded = true;
});

test('one that was made while the clock was ahead is replaced when the clock is set', async () => {
  const aheadMs = 2 * LIFE_MS;
  const before = serialStored();
  const right = cluster.time.now();
  cluster.time.jump(aheadMs);
  onCommit = () => Promise.reject(new Error('no leader'));
  await expect(renew()).rejects.toThrow('no leader');
  expect(serialStored()).toBe(before);
  cluster.time.jump(-aheadMs);
  expect(identityShown().notBeforeMs).toBeGreaterThan(right);
  own.isRecorded = false;
  onCommit = () => {
    expect(identityShown().notBeforeMs).toBeLessThan(right);
    return done();
  };
  await renew();
  expect(identityShown().serial).toBe(serialStored());
  own.isRecorded = true;
});

test('one that the disk did not take is in force, and is stored before another is asked for', async () => {
  onCommit = done;
  diskFailure = new Error('no room');
  await expect(renew()).rejects.toThrow('no room');
  asked.splice(0);
  const { serial } = identityShown();
  expect(serialStored()).not.toBe(serial);
  await expect(renew()).rejects.toThrow('no room');
  // The list of managers is stored without it when there is room for that again.
  diskFailure = undefined;
  await record.update({ managers: [] });
  expect(serialStored()).not.toBe(serial);
  expect(identityShown().serial).toBe(serial);
  await renew();
  expect(asked).toEqual([]);
  expect(serialStored()).toBe(serial);
  expect(record.unsaved).toBeUndefined();
});

test('one that the disk did not take is renewed all the same when its time has come', async () => {
  diskFailure = new Error('no room');
  await expect(renew()).rejects.toThrow('no room');
  asked.splice(0);
  const { serial } = identityShown();
  await pass(LIFE_MS * 0.6);
  await expect(renew()).rejects.toThrow('no room');
  expect(asked.splice(0)).toEqual(['issue', 'record']);
  expect(identityShown().serial).not.toBe(serial);
});

test('what a worker has got and could not store is stored before it asks again', async () => {
  diskFailure = undefined;
  onCommit = done;
  await renew();
  const next = await issue(key.spkiDer);
  record.show({ certificateDer: next.der });
  const certificate = new WorkerCertificate({
    record,
    onRefusal: () => undefined,
    clock: cluster.time,
    timers: cluster.time,
  });
  // Nobody could be asked.
  await certificate.renew(new AbortController().signal);
  expect(serialStored()).toBe(identityOf(next.der).serial);
  await expect(certificate.renew(new AbortController().signal)).rejects.toMatchObject({
    code: 'CV_PEER_UNREACHABLE',
  });
});

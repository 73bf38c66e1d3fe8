import { beforeAll, expect, test } from '@jest/globals';
import { generateNodeKey, identityOf } from '@conclave/pki';
import type { NodeKey } from '@conclave/pki';
import { CLUSTER_ID, FOUNDER_ID, FoundedCluster } from '../../manager/test/founded-cluster.js';
import { Issuer } from '../../manager/src/identity/issuer.js';
import type { IssuedCertificate } from '../../manager/src/identity/issuer.js';
import type { IdentityFile, MemberIdentity } from '../src/identity-file.js';
import { renewManager } from '../src/manager-renewal.js';
import { MemberRecord } from '../src/member-record.js';

const LIFE_MS = 7 * 24 * 3_600_000;

let cluster: FoundedCluster;
let key: NodeKey;
let record: MemberRecord;
const stored: MemberIdentity[] = [];
const asked: string[] = [];

/** What has happened up to the moment at which a commit is asked for. */
let onCommit: () => Promise<void> = () => Promise.resolve();

const manager = {
  issueOwn: (spkiDer: Uint8Array): Promise<IssuedCertificate> => {
    asked.push('issueOwn');
    return issue(spkiDer);
  },
  recordOwn: async (): Promise<void> => {
    asked.push('recordOwn');
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
  renewManager({ record, manager, clock: cluster.time, signal: new AbortController().signal });

beforeAll(async () => {
  cluster = await FoundedCluster.running();
  key = generateNodeKey();
  const { der } = await issue(key.spkiDer);
  const { rootCertificate } = cluster.founding;
  const file = {
    write: (member: MemberIdentity) => {
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

const endOf = (der: Uint8Array): number => identityOf(der).notAfterMs;

test('a certificate that is valid is renewed through the log only', async () => {
  await renew();
  expect(asked.splice(0)).toEqual(['issueOwn', 'recordOwn']);
  expect(stored.splice(0)).toHaveLength(1);
});

test('one that has ended is replaced before anybody is asked, and stays when nobody answers', async () => {
  await cluster.time.advance(2 * LIFE_MS, () => Promise.resolve());
  const now = cluster.time.now();
  onCommit = () => {
    // Stored and shown already: without it no other manager would listen.
    expect(endOf(stored.at(-1)?.certificateDer ?? new Uint8Array(0))).toBeGreaterThan(now);
    const [shown = new Uint8Array(0)] = record.identity.current().certificatesDer;
    expect(endOf(shown)).toBeGreaterThan(now);
    return Promise.reject(new Error('no leader'));
  };
  await expect(renew()).rejects.toThrow('no leader');
  expect(asked.splice(0)).toEqual(['issueOwn', 'recordOwn']);
  // The next try shows a newer one again before it asks.
  manager.isRecorded = false;
  const before = stored.length;
  onCommit = () => {
    expect(stored).toHaveLength(before + 1);
    return Promise.resolve();
  };
  await renew();
});

import { beforeEach, describe, expect, test } from '@jest/globals';
import type { CertificateIdentity } from '@conclave/pki';
import type { CommandBody } from '@conclave/state';
import { StateAuthority } from '../../src/identity/authority.js';
import { CLUSTER_ID, FoundedCluster, FOUNDER_ID, settle } from '../founded-cluster.js';

const KNOWN = { nodeId: FOUNDER_ID, raftId: 1, address: '127.0.0.1:7420' };

/** Who presents a certificate with this serial, for the key that is on record. */
const holder = (id: string, serial: string, kind: 'node' | 'admin' = 'node'): CertificateIdentity =>
  ({
    clusterId: CLUSTER_ID,
    kind,
    id,
    role: 'manager',
    serial,
    notBeforeMs: 0,
    notAfterMs: 2e12,
    spkiHash: keyOnRecord(id, kind),
  }) as CertificateIdentity;

function keyOnRecord(id: string, kind: 'node' | 'admin'): Uint8Array {
  const { state } = cluster;
  const row = kind === 'admin' ? state.adminById(id) : state.nodeById(id);
  return Uint8Array.from(Buffer.from(row?.certificate.publicKeyHash ?? '', 'hex'));
}

let cluster: FoundedCluster;
let authority: StateAuthority;

beforeEach(async () => {
  cluster = await FoundedCluster.create();
  authority = new StateAuthority({
    replicated: cluster.replicated,
    clock: cluster.time,
    timers: cluster.time,
    known: [KNOWN],
  });
});

const isAccepted = (id: string, serial: string): boolean =>
  authority.currentIdentity(holder(id, serial))?.isSerialCurrent === true;

const renewal = (id: string, from: string, to: string): CommandBody => ({
  kind: 'node.renew',
  id,
  usedSerial: from,
  certificate: {
    serial: to,
    notAfterMs: 2e12,
    publicKeyHash: cluster.state.nodeById(id)?.certificate.publicKeyHash ?? '',
    root: 1,
    notBeforeMs: 0,
  },
  previousUntilMs: cluster.time.now() + 600_000,
});

describe('before there is any state', () => {
  test('the managers of the join answer are managers, nobody else is anybody', () => {
    expect(authority.currentIdentity(holder(FOUNDER_ID, 'any'))).toMatchObject({
      role: 'manager',
      isActive: true,
      isSerialCurrent: true,
    });
    expect(authority.currentIdentity(holder('somebody', 'any'))).toBeUndefined();
    expect(authority.currentIdentity(holder(FOUNDER_ID, 'any', 'admin'))).toBeUndefined();
  });

  test('they are asked for their serial once there is state', () => {
    cluster.apply(cluster.founding.body);
    expect(isAccepted(FOUNDER_ID, 'any')).toBe(false);
    expect(isAccepted(FOUNDER_ID, cluster.founding.body.node.certificate.serial)).toBe(true);
  });
});

describe('a manager that has renewed before this one has heard of it', () => {
  beforeEach(() => void cluster.apply(cluster.founding.body));
  const renewed = (id: string, change: object = {}): boolean => {
    const { certificate } = cluster.state.nodeById(id) ?? {};
    const notBeforeMs = (certificate?.notBeforeMs ?? 0) + 1_000;
    const shown = { ...holder(id, 'not heard of'), notBeforeMs, ...change };
    return authority.currentIdentity(shown)?.isSerialCurrent === true;
  };

  test('is accepted with a newer certificate for the same key', () => {
    expect(renewed(FOUNDER_ID)).toBe(true);
  });

  test('is not with another key, or one that is not newer; nor is a worker', () => {
    const { certificate } = cluster.founding.body.node;
    expect(renewed(FOUNDER_ID, { spkiHash: new Uint8Array(32) })).toBe(false);
    expect(renewed(FOUNDER_ID, { notBeforeMs: certificate.notBeforeMs })).toBe(false);
    const { publicKeyHash } = certificate;
    const key = { ...certificate, serial: 's', publicKeyHash: publicKeyHash.replace(/^../, 'ff') };
    expect(renewed(cluster.addWorker('one', { certificate: key }))).toBe(false);
  });
});

describe('with state', () => {
  let worker: string;
  beforeEach(() => {
    cluster.apply(cluster.founding.body);
    worker = cluster.addWorker('one');
  });

  test('who waits for approval is known, and may do nothing yet', () => {
    expect(authority.currentIdentity(holder(worker, 'serial-one'))?.isWaiting).toBe(false);
    const waits = cluster.addWaiting('two');
    expect(authority.currentIdentity(holder(waits, 'serial-two'))).toMatchObject({
      isActive: true,
      isWaiting: true,
    });
    cluster.apply({ kind: 'node.approve', id: waits });
    expect(authority.currentIdentity(holder(waits, 'serial-two'))?.isWaiting).toBe(false);
  });

  test('a certificate of a worker makes no manager, whatever the record says', () => {
    const kept = { ...holder(FOUNDER_ID, 'x'), role: 'worker' as const };
    expect(authority.currentIdentity(kept)?.role).toBe('worker');
  });

  test('the role is that of the record, whatever a certificate of a manager says', () => {
    expect(authority.currentIdentity(holder(worker, 'serial-one'))?.role).toBe('worker');
    const founder = authority.currentIdentity(holder(FOUNDER_ID, 'x'));
    expect(founder?.role).toBe('manager');
  });

  test('an unknown node is nobody; one that was removed is known to be', () => {
    expect(authority.currentIdentity(holder('unknown', 'serial-one'))).toBeUndefined();
    cluster.apply({ kind: 'node.remove', id: worker, force: true });
    expect(authority.currentIdentity(holder(worker, 'serial-one'))).toEqual({
      kind: 'node',
      id: worker,
      isActive: false,
      isSerialCurrent: false,
    });
  });

  test('the serial on record with another key is not current: the root alone forges nobody', () => {
    const spkiHash = new Uint8Array(32).fill(7);
    cluster.addAdmin('ann', ['viewer']);
    const { serial } = cluster.founding.body.node.certificate;
    const forged = [
      holder(worker, 'serial-one'),
      holder(FOUNDER_ID, serial),
      holder('ann', 'serial-ann', 'admin'),
    ];
    for (const shown of forged) {
      expect(authority.currentIdentity(shown)?.isSerialCurrent).toBe(true);
      const other = authority.currentIdentity({ ...shown, spkiHash });
      expect(other?.isSerialCurrent).toBe(false);
    }
  });

  test('another serial than the recorded one is not current', () => {
    expect(isAccepted(worker, 'serial-two')).toBe(false);
    expect(isAccepted(worker, 'serial-one')).toBe(true);
  });

  test('a replaced certificate is accepted for the overlap and not a moment longer', async () => {
    cluster.apply(renewal(worker, 'serial-one', 'serial-two'));
    await cluster.time.advance(600_000, settle);
    expect(isAccepted(worker, 'serial-one')).toBe(true);
    await cluster.time.advance(1, settle);
    expect(isAccepted(worker, 'serial-one')).toBe(false);
    expect(isAccepted(worker, 'serial-two')).toBe(true);
  });

  test('the first use of the new certificate ends the old one, but for open connections', async () => {
    const open = holder(worker, 'serial-one');
    const goesOn = (): boolean => authority.currentIdentity(open)?.isSerialCurrent === true;
    expect(goesOn()).toBe(true);
    cluster.apply(renewal(worker, 'serial-one', 'serial-two'));
    await cluster.time.advance(60_000, settle);
    expect(isAccepted(worker, 'serial-one')).toBe(true);
    expect(isAccepted(worker, 'serial-two')).toBe(true);
    // What connects at the same moment may still have the old one.
    await cluster.time.advance(10_000, settle);
    expect(isAccepted(worker, 'serial-one')).toBe(true);
    await cluster.time.advance(1, settle);
    expect(isAccepted(worker, 'serial-one')).toBe(false);
    expect(goesOn()).toBe(true);
    await cluster.time.advance(530_000, settle);
    expect(goesOn()).toBe(false);
  });

  test('addresses of managers are those on record, also after a change', () => {
    expect(authority.isManagerAddress('127.0.0.1')).toBe(true);
    expect(authority.isManagerAddress('10.0.0.7')).toBe(false);
    cluster.apply({
      kind: 'node.addresses',
      id: FOUNDER_ID,
      clusterAddress: '[2001:db8::7]:7420',
      joinAddress: '10.0.0.7:7421',
    });
    expect(authority.isManagerAddress('2001:db8::7')).toBe(true);
    expect(authority.isManagerAddress('10.0.0.7')).toBe(false);
  });

  test.each([
    ['[2001:DB8:0:0::07]:7420', '2001:db8::7', '2001:db8::8'],
    ['[::ffff:10.0.0.7]:7420', '10.0.0.7', '10.0.0.8'],
    ['manager.example.org:7420', undefined, 'manager.example.org'],
  ])('the address %s of a manager is compared by its bits', (clusterAddress, own, other) => {
    const joinAddress = '10.0.0.7:7421';
    cluster.apply({ kind: 'node.addresses', id: FOUNDER_ID, clusterAddress, joinAddress });
    if (own !== undefined) expect(authority.isManagerAddress(own)).toBe(true);
    expect(authority.isManagerAddress(other)).toBe(false);
    expect(authority.isManagerAddress('')).toBe(false);
  });

  test('the certificate before the replaced one is not accepted any more', () => {
    cluster.apply(renewal(worker, 'serial-one', 'serial-two'));
    cluster.apply(renewal(worker, 'serial-two', 'serial-three'));
    expect(isAccepted(worker, 'serial-one')).toBe(false);
    expect(isAccepted(worker, 'serial-two')).toBe(true);
  });
});

describe('administrators', () => {
  const admin = (id: string, serial: string): ReturnType<typeof authority.currentIdentity> =>
    authority.currentIdentity(holder(id, serial, 'admin'));
  beforeEach(() => {
    cluster.apply(cluster.founding.body);
    cluster.addAdmin('ann', ['viewer', 'operator']);
  });

  test('have the roles of their record', () => {
    expect(admin('ann', 'serial-ann')).toEqual({
      kind: 'admin',
      id: 'ann',
      adminRoles: ['viewer', 'operator'],
      isActive: true,
      isSerialCurrent: true,
    });
    expect(admin('ann', 'serial-bob')?.isSerialCurrent).toBe(false);
    expect(admin('bob', 'serial-ann')).toBeUndefined();
  });

  test('are nobody as nodes, as nodes are nobody as administrators', () => {
    expect(authority.currentIdentity(holder('ann', 'serial-ann'))).toBeUndefined();
    expect(admin(FOUNDER_ID, cluster.founding.body.node.certificate.serial)).toBeUndefined();
  });

  test('that are revoked are not active, and open calls are looked at', () => {
    let looks = 0;
    authority.onChange(() => {
      looks += 1;
    });
    cluster.addAdmin('bob', ['viewer']);
    expect(looks).toBe(0);
    cluster.apply({ kind: 'admin.revoke', id: 'ann' });
    expect(looks).toBe(1);
    expect(admin('ann', 'serial-ann')?.isActive).toBe(false);
  });

  test('may use a renewed certificate for the overlap', async () => {
    cluster.apply({
      kind: 'admin.renew',
      id: 'ann',
      usedSerial: 'serial-ann',
      certificate: {
        serial: 'next',
        notAfterMs: 2e12,
        publicKeyHash: cluster.state.adminById('ann')?.certificate.publicKeyHash ?? '',
        root: 1,
        notBeforeMs: 0,
      },
      previousUntilMs: cluster.time.now() + 600_000,
    });
    expect(admin('ann', 'next')?.isSerialCurrent).toBe(true);
    expect(admin('ann', 'serial-ann')?.isSerialCurrent).toBe(true);
    await cluster.time.advance(600_001, settle);
    expect(admin('ann', 'serial-ann')?.isSerialCurrent).toBe(false);
  });
});

describe('open calls', () => {
  test('are looked at for each change that may take a right away, and for no other', () => {
    cluster.apply(cluster.founding.body);
    let looks = 0;
    const stop = authority.onChange(() => {
      looks += 1;
    });
    const worker = cluster.addWorker('one');
    cluster.apply({
      kind: 'nodes.observe',
      nodes: [{ id: worker, state: 'DOWN', message: 'gone', session: undefined }],
    });
    expect(looks).toBe(0);
    cluster.apply(renewal(worker, 'serial-one', 'serial-two'));
    expect(looks).toBe(1);
    cluster.apply({ kind: 'node.remove', id: worker, force: true });
    expect(looks).toBe(2);
    stop();
    cluster.addWorker('two');
  });

  test('are looked at twice a second: time takes rights away too', async () => {
    let looks = 0;
    const stop = authority.onChange(() => {
      looks += 1;
    });
    await cluster.time.advance(1_500, settle);
    expect(looks).toBe(3);
    stop();
    await cluster.time.advance(1_500, settle);
    expect(looks).toBe(3);
  });

  test('are looked at when a snapshot replaced everything', async () => {
    cluster.apply(cluster.founding.body);
    let looks = 0;
    authority.onChange(() => {
      looks += 1;
    });
    const { data, index } = await cluster.replicated.snapshot();
    await cluster.replicated.restore({
      data,
      metadata: { index, term: 1, confState: {} as never },
    });
    expect(looks).toBe(1);
  });
});

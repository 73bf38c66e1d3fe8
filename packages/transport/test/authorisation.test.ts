import { describe, expect, test } from '@jest/globals';
import { ADMIN_ROLES } from '@conclave/kernel';
import type { AdminRole } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { AnyMethod } from '@conclave/wire';
import { AUTHORISATION } from '../src/index.js';
import type { LaneRules } from '../src/gate-rates.js';
import * as limits from '../src/limits.js';

const paths = Object.values(loadWire()).flatMap((service) =>
  Object.values(service as Record<string, AnyMethod>).map((method) => method.path),
);

describe('the table of rights', () => {
  test('has a row for every method, and for nothing else', () => {
    expect(Object.keys(AUTHORISATION).sort()).toEqual([...paths].sort());
  });

  test('every row names somebody', () => {
    for (const [path, row] of Object.entries(AUTHORISATION)) {
      const callers = Object.values(row).flat();
      expect({ path, count: callers.length }).not.toMatchObject({ count: 0 });
    }
  });

  test('the join listener serves the join service and nothing else', () => {
    const joinable = Object.keys(AUTHORISATION).filter((path) => AUTHORISATION[path]?.join);
    expect(joinable.sort()).toEqual(
      ['Challenge', 'Join', 'Recover'].map((name) => `/conclave.v1.Join/${name}`),
    );
    for (const path of joinable) expect(Object.keys(AUTHORISATION[path] ?? {})).toEqual(['join']);
  });

  test('workers may only hold their session and look after their own identity', () => {
    const ofWorkers = Object.keys(AUTHORISATION).filter((path) =>
      AUTHORISATION[path]?.cluster?.includes('worker'),
    );
    expect(ofWorkers.sort()).toEqual([
      '/conclave.v1.Dispatcher/Session',
      '/conclave.v1.Identity/BecomeManager',
      '/conclave.v1.Identity/ConfirmRoots',
      '/conclave.v1.Identity/GetRole',
      '/conclave.v1.Identity/Leave',
      '/conclave.v1.Identity/Renew',
    ]);
  });

  test('nobody anonymous on the cluster listener, nobody else on the join listener', () => {
    for (const row of Object.values(AUTHORISATION)) {
      expect(row.cluster ?? []).not.toContain('anonymous');
      expect(row.cluster ?? []).not.toContain('local');
      expect(row.local ?? ['local']).toEqual(['local']);
      expect(row.join ?? ['anonymous']).toEqual(['anonymous']);
    }
  });
});

describe('the roles of administrators', () => {
  const callsOf = (role: AdminRole): string[] =>
    Object.keys(AUTHORISATION)
      .filter((path) => AUTHORISATION[path]?.cluster?.includes(role))
      .map((path) => path.replace('/conclave.v1.', ''));
  const READS = [
    'Admins/List',
    'Identity/Renew',
    'Cluster/GetInfo',
    'Cluster/GetSettings',
    'Cluster/GetStatus',
    'Cluster/Watch',
    'Nodes/Get',
    'Nodes/List',
    'Secrets/Get',
    'Secrets/History',
    'Secrets/List',
    'Secrets/Status',
    'Services/Get',
    'Services/List',
    'Tasks/Get',
    'Tasks/List',
    'Tokens/List',
  ];

  test.each<[AdminRole, string[]]>([
    ['viewer', []],
    ['auditor', ['Nodes/Exposure']],
    [
      'operator',
      ['Services/Create', 'Services/Logs', 'Services/Remove', 'Services/Scale', 'Services/Update'],
    ],
    [
      'secret-writer',
      [
        'Secrets/DestroyVersion',
        'Secrets/Remove',
        'Secrets/Rollback',
        'Secrets/Set',
        'Secrets/Update',
      ],
    ],
  ])('%s: the reads and its own calls, nothing else', (role, own) => {
    expect(callsOf(role).sort()).toEqual([...READS, ...own].sort());
  });

  test('admin may whatever any role may; none may what members do among themselves', () => {
    const ofAdmin = new Set(callsOf('admin'));
    for (const role of ADMIN_ROLES) {
      for (const path of callsOf(role)) expect(ofAdmin).toContain(path);
    }
    for (const path of ofAdmin) {
      expect(path).not.toMatch(
        /^(?:Dispatcher\/|Identity\/Leave|Join\/|Local\/|Managers\/|Raft\/)/,
      );
    }
  });

  test('on the socket of the host everything is allowed that an admin may', () => {
    for (const path of callsOf('admin')) {
      if (path === 'Identity/Renew') continue; // there is no certificate to renew
      expect(AUTHORISATION[`/conclave.v1.${path}`]?.local).toEqual(['local']);
    }
  });
});

describe('limits', () => {
  test('fit each other', () => {
    expect(limits.STREAM_WINDOW_BYTES).toBeLessThan(limits.STREAM_QUEUE_BYTES_MAX);
    expect(limits.MESSAGE_BYTES_MAX).toBeLessThan(limits.SESSION_MEMORY_BYTES_MAX);
    const lanes = Object.values(limits.ACCEPT_RULES.lanes);
    const sum = (of: (lane: LaneRules) => number): number =>
      lanes.reduce((total, lane) => total + of(lane), 0);
    // At 2 ms each they take half of the loop.
    expect(sum(({ rate }) => rate.perSecond)).toBeLessThanOrEqual(250);
    expect(sum(({ handshakeCountMax }) => handshakeCountMax)).toBeLessThanOrEqual(16);
    for (const lane of lanes) {
      expect(lane.handshakeCountMax).toBeLessThan(lane.waitingCountMax);
      expect(lane.waitingCountMax).toBeLessThan(lane.connectionCountMax);
    }
    expect(limits.JOIN_MESSAGE_BYTES_MAX).toBeLessThan(limits.REQUEST_BYTES_DEFAULT);
    expect(limits.SESSION_BYTES_MAX).toBeLessThan(limits.WORKER_HELD_BYTES_MAX);
    expect(limits.MESSAGE_BYTES_MAX).toBeLessThan(limits.ADMIN_HELD_BYTES_MAX);
    expect(limits.HANDSHAKE_TURN_MS).toBeLessThan(limits.HANDSHAKE_MS_MAX);
    expect(limits.KEEPALIVE_ANSWER_MS).toBeLessThan(limits.KEEPALIVE_MS);
    expect(limits.CUT_GRACE_MS).toBeLessThan(1_000);
    expect(limits.STREAMS_PER_CONNECTION_MAX).toBeLessThan(limits.CANCEL_RATE.burst);
    expect(limits.STREAMS_PER_WORKER_MAX).toBeLessThan(limits.WORKER_CANCEL_RATE.burst);
    expect(limits.CONNECTION_AGE_GRACE_MS).toBeLessThan(limits.CONNECTION_AGE_MS_MAX);
    expect(limits.CALL_MS_DEFAULT).toBeLessThan(limits.UNARY_MS_MAX);
  });
});

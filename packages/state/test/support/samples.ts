import { limits } from '@conclave/kernel';
import type { Command, CommandBody } from '../../src/index.js';
import {
  adminFields,
  Bench,
  bindingSpec,
  equipment,
  managerFields,
  nodeFields,
  serviceSpec,
  START_MS,
  tokenFields,
} from './bench.js';

const certificate = { serial: 'ab', notAfterMs: 9, publicKeyHash: 'cd', root: 1, notBeforeMs: 0 };
const session = {
  id: 'session',
  daemonVersion: '1',
  executors: ['process', 'container'],
};
const receipt = {
  taskId: 't',
  target: 'file',
  secretId: 's',
  version: 3,
  outcome: 'reloaded',
  detail: 'done',
  atMs: 4,
  nodeId: 'n',
} as const;

function clusterBodies(): CommandBody[] {
  const settings = {
    secretValueBytesMax: 1024,
    heartbeatPeriodMs: 1500,
    certificates: limits.CERTIFICATES_DEFAULT,
  };
  return [
    {
      kind: 'cluster.create',
      cluster: {
        id: 'cluster',
        createdAtMs: START_MS,
        epoch: 1,
        rootCertificate: Uint8Array.of(1, 2, 3),
        rootKeySealed: Uint8Array.of(4, 5),
        rootKeyId: 1,
        rootGeneration: 1,
        rootStep: 0,
        rootRotation: undefined,
        formerRoots: [],
        ringGeneration: 1,
        ringKeyId: 1,
        ringCommitment: new Uint8Array(32).fill(6),
        ringRotatedAtMs: 0,
        ringRotation: undefined,
        recovery: { generation: 1, publicKey: Uint8Array.of(2), threshold: 0, shareHashes: [] },
        stagedRecovery: undefined,
        stagedRecoveryBy: [],
        oldRecoveryOn: [],
        compromise: undefined,
        settings,
      },
      node: {
        ...nodeFields('m', { manager: managerFields(1) }),
        role: 'manager',
        wantedRole: 'manager',
        waiting: undefined,
        tokenId: '',
      },
    },
    {
      kind: 'cluster.settings',
      objectVersion: 3,
      certificates: { managerLifeMs: undefined, workerLifeMs: 60_000, adminLifeMs: 9 },
    },
    { kind: 'ring.rotate' },
    { kind: 'ring.offer', keyId: 2, commitment: Uint8Array.of(1, 2) },
    { kind: 'ring.activate', keyId: 2 },
    {
      kind: 'ring.rewrap',
      keyId: 2,
      versions: [
        { secretId: 's', version: 1, wrappedDek: Uint8Array.of(7), digest: Uint8Array.of(8) },
      ],
      rootKeySealed: undefined,
    },
    { kind: 'ring.retire', keyId: 2 },
    { kind: 'ring.finish', keyId: 2 },
    {
      kind: 'recovery.stage',
      recovery: { publicKey: Uint8Array.of(9), threshold: 2, shareHashes: [Uint8Array.of(1)] },
    },
    { kind: 'recovery.sealed', id: 'm', generation: 2 },
    { kind: 'recovery.confirm', generation: 2 },
    { kind: 'compromise.begin', evict: ['n'], endsAdmins: true },
    { kind: 'compromise.finish' },
    { kind: 'token.create', token: tokenFields('t', { admittedNodes: ['n'] }) },
    { kind: 'token.revoke', id: 't' },
    {
      kind: 'admin.create',
      admin: adminFields('a', { uses: ['shop/*'], previousCertificate: certificate }),
    },
    { kind: 'admin.renew', id: 'a', usedSerial: 'cert-a', certificate, previousUntilMs: 12 },
    { kind: 'admin.revoke', id: 'a' },
  ];
}

function secretBodies(): CommandBody[] {
  return [
    new Bench().setCommand('shop/db', 7, { labels: { team: 'shop' }, description: 'of the shop' }),
    { kind: 'secret.update', id: 's', objectVersion: 8, labels: { a: 'b' }, description: '' },
    { kind: 'secret.rollback', id: 's', version: 2 },
    { kind: 'secret.destroy-version', id: 's', version: 2, force: true },
    { kind: 'secret.remove', id: 's' },
  ];
}

function serviceBodies(): CommandBody[] {
  const bindings = [
    bindingSpec({ secretId: 'id-a', uid: 7, gid: 8 }),
    bindingSpec({ secretId: 'id-b', onChange: { kind: 'signal', signal: 'SIGHUP' } }),
    bindingSpec({ secretId: 'id-c', onChange: { kind: 'exec', command: '/bin/reload' } }),
    bindingSpec({ secretId: 'id-d', onChange: { kind: 'restart' }, isOptional: true }),
  ];
  const constraints = ['node.role == worker'];
  const spec = serviceSpec({ bindings, constraints, env: { A: 'b' }, labels: { c: 'd' } });
  return [
    { kind: 'service.create', id: 'v', spec },
    { kind: 'service.update', id: 'v', spec, objectVersion: 3 },
    { kind: 'service.update-state', id: 'v', specVersion: 2, state: 'paused', message: 'why' },
    { kind: 'service.rollback', id: 'v', specVersion: 2, reason: 'why' },
    { kind: 'service.remove', id: 'v' },
  ];
}

function taskBodies(): CommandBody[] {
  const placed = { slot: 2, nodeId: '', specVersion: 1, notBeforeMs: 70, message: 'm' };
  const report = { nodeId: 'n', taskId: 't', message: 'm', error: 'e', atMs: 6 };
  return [
    {
      kind: 'tasks.schedule',
      changes: [
        { kind: 'create', id: 't', serviceId: 'v', ...placed },
        { kind: 'assign', id: 't', nodeId: 'n' },
        { kind: 'explain', id: 't', message: 'm' },
        { kind: 'desire', id: 't', desiredState: 'REMOVE' },
        { kind: 'end', id: 't', state: 'ORPHANED', message: 'm' },
        { kind: 'delete', id: 't' },
      ],
    },
    {
      kind: 'tasks.report',
      reports: [
        { ...report, state: 'FAILED', exitCode: -2 },
        { ...report, state: 'RUNNING', exitCode: undefined },
      ],
    },
    { kind: 'receipts.report', receipts: [receipt] },
  ];
}

function nodeBodies(): CommandBody[] {
  const labels = { labelsSet: { a: 'b' }, labelsRemove: ['c'] };
  return [
    {
      kind: 'node.join',
      tokenId: 't',
      node: nodeFields('n', { previousCertificate: certificate, labels: { zone: 'a' } }),
    },
    { kind: 'node.update', id: 'n', objectVersion: 4, availability: 'drain', ...labels },
    { kind: 'node.renew', id: 'n', usedSerial: 'before', certificate, previousUntilMs: 12 },
    {
      kind: 'nodes.observe',
      nodes: [
        { id: 'n', state: 'READY', message: '', session },
        { id: 'o', state: 'DOWN', message: 'silent', session: undefined },
      ],
    },
    { kind: 'node.membership', id: 'n', membership: 'voter', ringGeneration: 2 },
    { kind: 'node.addresses', id: 'n', clusterAddress: 'a:1', joinAddress: 'a:2' },
    { kind: 'node.remove', id: 'n', force: true },
    { kind: 'node.approve', id: 'n' },
    { kind: 'node.set-role', id: 'n', role: 'manager' },
    {
      kind: 'node.equip',
      id: 'n',
      usedSerial: 'used',
      certificate: { serial: 'new', notBeforeMs: 0, root: 0, notAfterMs: 1, publicKeyHash: 'key' },
      manager: equipment(7),
    },
    { kind: 'node.demoted', id: 'n' },
  ];
}

/** At least one command of every kind, with every optional field there in one of them. */
export function sampleCommands(): Command[] {
  const bodies = [
    ...clusterBodies(),
    ...secretBodies(),
    ...serviceBodies(),
    ...taskBodies(),
    ...nodeBodies(),
  ];
  const actors = ['admin', 'node', 'system'] as const;
  return bodies.map((body, place) => ({
    atMs: START_MS + place,
    by: { kind: actors[place % 3] ?? 'admin', id: 'local' },
    request: place % 2 === 0 ? undefined : { key: `key-${place}`, fingerprint: 'print' },
    ...body,
  }));
}

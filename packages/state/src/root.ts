import { limits } from '@conclave/kernel';
import { endAdmins } from './admins.js';
import { noteStep } from './compromise-note.js';
import type {
  CertificateRow,
  ClusterRow,
  CommandResult,
  FormerRootRow,
  NodeRow,
  RootRotationRow,
} from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import type { Tables } from './tables.js';
import { endTokens } from './tokens.js';

type Phase = RootRotationRow['phase'];

const NONE = new Uint8Array(0);

const notCreated = (): CommandResult =>
  refused('CV_NOT_INITIALIZED', 'the cluster does not exist yet');
const overtaken = (): CommandResult =>
  refused('CV_STATE_STALE', 'the rotation of the root has gone on meanwhile');
const early = (): CommandResult =>
  refused('CV_STATE_STALE', 'not every node has taken this step of the rotation');

/**
 * The nodes that have not taken this step of the roots yet, whatever keeps them. Who leaves is not
 * waited for; a manager that becomes a worker stays and needs every root. Nor is who may call
 * nothing: a host that waits for approval, and a worker whose certificate has ended at `atMs`. It
 * comes back over the former roots.
 */
export function nodesBehindRoot(tables: Tables, step: number, atMs: number): NodeRow[] {
  const isLeaving = ({ manager, wantedRole }: NodeRow): boolean =>
    manager?.membership === 'removing' && wantedRole !== 'worker';
  const isOut = ({ role, certificate, waiting }: NodeRow): boolean =>
    waiting !== undefined || (role === 'worker' && certificate.notAfterMs < atMs);
  return [...tables.nodes.values()].filter(
    (row) => row.rootStep < step && !isLeaving(row) && !isOut(row),
  );
}

function hasFollowers({ tables, command }: Scope, { rootStep }: ClusterRow): boolean {
  return nodesBehindRoot(tables, rootStep, command.atMs).length === 0;
}

/** The cluster and its rotation, when it is in this phase and, with a step, at this one. */
function rotationIn(
  { tables }: Scope,
  phase: Phase,
  step?: number,
): { readonly cluster: ClusterRow; readonly rotation: RootRotationRow } | undefined {
  const cluster = tables.clusterRow();
  const rotation = cluster?.rootRotation;
  if (cluster === undefined || rotation?.phase !== phase) return undefined;
  return step === undefined || step === cluster.rootStep ? { cluster, rotation } : undefined;
}

function write(scope: Scope, cluster: ClusterRow, change: Partial<ClusterRow>): CommandResult {
  const { journal, tables, index } = scope;
  journal.put(tables.cluster, { ...cluster, ...change, objectVersion: index });
  return done(scope, { id: cluster.id });
}

function beginning({ atMs, by }: Scope['command'], distrustsFormer: boolean): RootRotationRow {
  return {
    phase: 'making',
    next: undefined,
    previousCertificate: NONE,
    crossCertificate: NONE,
    isRepeated: false,
    distrustsFormer,
    startedAtMs: atMs,
    startedBy: by,
  };
}

/**
 * Asks for another root. While one is on its way that is not in force yet, it is given up for a
 * later one; behind that point another rotation follows this one.
 */
export function beginRootRotation(scope: Scope, command: CommandOf<'root.rotate'>): CommandResult {
  const cluster = scope.tables.clusterRow();
  if (cluster === undefined) return notCreated();
  const { ringRotation, rootRotation } = cluster;
  if (ringRotation !== undefined) {
    return refused('CV_ROTATION_RUNNING', 'the key ring is being rotated');
  }
  const isInForce = rootRotation?.phase === 'renewing' || rootRotation?.phase === 'dropping';
  // What was said once about the roots of before stays true until all of it is over.
  const distrustsFormer =
    command.distrustsFormer ||
    cluster.compromise !== undefined ||
    rootRotation?.distrustsFormer === true;
  const next = isInForce
    ? { ...rootRotation, isRepeated: true, distrustsFormer }
    : beginning(command, distrustsFormer);
  return write(scope, cluster, {
    rootRotation: next,
    formerRoots: distrustsFormer ? [] : cluster.formerRoots,
    ...noteStep(scope.tables, cluster, { isRootAsked: true }),
  });
}

/** The root that a leader has made: all nodes are to trust it from here on. */
export function offerRoot(scope: Scope, command: CommandOf<'root.offer'>): CommandResult {
  const found = rotationIn(scope, 'making');
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  const { next, crossCertificate } = command;
  if (next.keyId !== cluster.ringKeyId) return overtaken();
  return write(scope, cluster, {
    rootStep: cluster.rootStep + 1,
    rootRotation: { ...rotation, phase: 'spreading', next, crossCertificate },
  });
}

/**
 * Every node trusts the new root: it is in force, and the key of the one before is gone. Join tokens
 * that are out name the root before and end here. So do the administrators of a recovery that ends
 * them: what a manager had proposed just before it was evicted comes in behind the recovery's begin.
 */
export function activateRoot(scope: Scope, command: CommandOf<'root.activate'>): CommandResult {
  const found = rotationIn(scope, 'spreading', command.step);
  const next = found?.rotation.next;
  if (found === undefined || next === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (!hasFollowers(scope, cluster)) return early();
  endTokens(scope);
  if (cluster.compromise?.endsAdmins === true) endAdmins(scope);
  return write(scope, cluster, {
    rootCertificate: next.certificate,
    rootKeySealed: next.keySealed,
    rootKeyId: next.keyId,
    rootGeneration: cluster.rootGeneration + 1,
    rootStep: cluster.rootStep + 1,
    rootRotation: {
      ...rotation,
      phase: 'renewing',
      next: undefined,
      previousCertificate: cluster.rootCertificate,
    },
    formerRoots: rotation.distrustsFormer ? [] : formerWith(cluster, rotation),
  });
}

function formerWith(cluster: ClusterRow, { crossCertificate }: RootRotationRow): FormerRootRow[] {
  const { formerRoots, rootCertificate: certificate, rootGeneration: generation } = cluster;
  const all = [...formerRoots, { generation, certificate, crossCertificate }];
  return all.slice(-limits.FORMER_ROOTS_MAX);
}

/** Every node that counts uses a certificate under the root in force: those of before end. */
export function dropRoot(scope: Scope, command: CommandOf<'root.drop'>): CommandResult {
  const found = rotationIn(scope, 'renewing', command.step);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (!hasFollowers(scope, cluster)) return early();
  endOldCertificates(scope, cluster.rootGeneration);
  return write(scope, cluster, {
    rootStep: cluster.rootStep + 1,
    rootRotation: {
      ...rotation,
      phase: 'dropping',
      previousCertificate: NONE,
      crossCertificate: NONE,
    },
  });
}

function endOldCertificates({ tables, journal, index }: Scope, generation: number): void {
  const isOld = (certificate: CertificateRow | undefined): boolean =>
    certificate !== undefined && certificate.root < generation;
  for (const node of tables.nodes.values()) {
    // One without a newer certificate was not waited for, and comes back with one of these.
    if (!isOld(node.previousCertificate) || isOld(node.certificate)) continue;
    const change = { previousCertificate: undefined, previousUntilMs: 0, objectVersion: index };
    journal.put(tables.nodes, { ...node, ...change });
  }
  for (const admin of tables.admins.values()) {
    const change = { previousCertificate: undefined, previousUntilMs: 0, objectVersion: index };
    // Who has no certificate under the new root cannot come back to get one.
    if (isOld(admin.certificate)) {
      if (!admin.isRevoked) journal.put(tables.admins, { ...admin, ...change, isRevoked: true });
    } else if (isOld(admin.previousCertificate)) {
      journal.put(tables.admins, { ...admin, ...change });
    }
  }
}

/** No node that counts trusts the root before any more. Begins anew when that was asked for meanwhile. */
export function finishRootRotation(scope: Scope, command: CommandOf<'root.finish'>): CommandResult {
  const found = rotationIn(scope, 'dropping', command.step);
  if (found === undefined) return overtaken();
  const { cluster, rotation } = found;
  if (!hasFollowers(scope, cluster)) return early();
  const { distrustsFormer, isRepeated } = rotation;
  const next = isRepeated ? beginning(scope.command, distrustsFormer) : undefined;
  return write(scope, cluster, { rootRotation: next });
}

/**
 * A node says that it trusts what the newest step asks for. But for the step that only spreads a
 * root, it has to say so with a certificate under the root in force, which shows that it has it.
 */
export function noteRoot(scope: Scope, command: CommandOf<'node.root'>): CommandResult {
  const { tables, journal, index } = scope;
  const { id, step, serial } = command;
  const cluster = tables.clusterRow();
  const row = tables.nodes.get(id);
  if (cluster === undefined) return notCreated();
  if (row === undefined) return refused('CV_NODE_NOT_FOUND', 'no node has this id');
  if (step !== cluster.rootStep) return overtaken();
  if (row.rootStep === step) return done(scope, { id, unchanged: true });
  const { certificate } = row;
  const isRenewed = certificate.serial === serial && certificate.root === cluster.rootGeneration;
  if (cluster.rootRotation?.phase !== 'spreading' && !isRenewed) {
    return refused('CV_STATE_STALE', 'the node uses a certificate under the root before', { id });
  }
  journal.put(tables.nodes, { ...row, rootStep: step, objectVersion: index });
  return done(scope, { id, unchanged: false });
}

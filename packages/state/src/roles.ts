import { refuseCertificate } from './certificates.js';
import { refuseAnotherManager, refuseWithout } from './membership.js';
import type { CommandResult, NodeRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import { isOnNode, rowsOf } from './tables.js';

const notFound = (): CommandResult =>
  refused('CV_NODE_NOT_FOUND', 'no node has this id or host name');
const inUse = (message: string, id: string): CommandResult =>
  refused('CV_NODE_IN_USE', message, { id });

/**
 * Decides what a node is to become. A promoted worker gets no tasks from here on and makes itself a
 * manager; a demoted manager is on its way out of the quorum from here on.
 */
export function setRole(scope: Scope, command: CommandOf<'node.set-role'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  if (row.wantedRole === command.role) return done(scope, { id: row.id, unchanged: true });
  if (row.waiting !== undefined) return inUse('the node waits for approval', row.id);
  const refusal =
    command.role === 'manager' ? refusePromotion(scope, row) : refuseDemotion(scope, row);
  if (refusal !== undefined) return refusal;
  const isDemotion = command.role === 'worker' && row.manager !== undefined;
  const manager =
    isDemotion && row.manager ? { ...row.manager, membership: 'removing' as const } : row.manager;
  journal.put(tables.nodes, { ...row, wantedRole: command.role, manager, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

function refusePromotion({ tables }: Scope, row: NodeRow): CommandResult | undefined {
  if (row.role === 'manager') {
    return inUse('the node is a manager that is being demoted: wait until it is a worker', row.id);
  }
  return refuseAnotherManager(tables);
}

function refuseDemotion(scope: Scope, row: NodeRow): CommandResult | undefined {
  // Not a manager yet: its promotion is called off.
  if (row.role === 'worker') return undefined;
  if (row.manager?.membership === 'removing') return inUse('the manager is leaving', row.id);
  return row.manager?.membership === 'voter' ? refuseWithout(scope, [row.id]) : undefined;
}

/**
 * Makes a promoted worker a manager that joins, with the keys it made and the certificate it gets.
 * Its old certificate stays accepted as that of a worker, so that a host that has lost the answer
 * can ask again; it gets the same Raft id then, under which it has never taken part.
 */
export function equipNode(scope: Scope, command: CommandOf<'node.equip'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  const refusal = refuseEquipment(scope, row, command);
  if (refusal !== undefined) return refusal;
  const used = [row.certificate, row.previousCertificate].find(
    (known) => known?.serial === command.usedSerial,
  );
  const raftId = row.manager?.raftId ?? command.manager.raftId;
  const membership = row.manager?.membership ?? ('joining' as const);
  journal.put(tables.nodes, {
    ...row,
    role: 'manager',
    certificate: command.certificate,
    previousCertificate: used,
    previousUntilMs: used?.notAfterMs ?? 0,
    manager: { ...command.manager, raftId, membership, ringGeneration: 0 },
    executors: [],
    sessionId: '',
    objectVersion: index,
  });
  if (row.manager === undefined) {
    journal.put(tables.raftIds, { raftId, nodeId: row.id, sinceIndex: index });
  }
  return done(scope, { id: row.id, raftId });
}

function refuseEquipment(
  scope: Scope,
  row: NodeRow,
  { manager, certificate, usedSerial }: CommandOf<'node.equip'>,
): CommandResult | undefined {
  const { tables } = scope;
  const { id } = row;
  if (row.waiting !== undefined) return inUse('the node waits for approval', id);
  if (row.wantedRole !== 'manager') {
    return refused('CV_ROLE_FORBIDDEN', 'the node is not to become a manager', { id });
  }
  const accepted =
    row.role === 'worker'
      ? [row.certificate.serial, row.previousCertificate?.serial]
      : [row.previousCertificate?.serial];
  if (!accepted.includes(usedSerial)) {
    return refused('CV_UNAUTHENTICATED', 'the certificate is not accepted any more', { id });
  }
  if (row.manager !== undefined) {
    const hasBegun = row.manager.membership === 'voter' || row.manager.ringGeneration > 0;
    if (hasBegun) return inUse('the node is a manager already', id);
    return refuseCertificate(scope, id, certificate);
  }
  const tasks = rowsOf(tables.tasks, tables.indexes.tasksByNode.keys(id));
  if (tasks.some(({ state }) => isOnNode(state))) return inUse('tasks run on the node yet', id);
  if (tables.raftIds.has(String(manager.raftId))) {
    return refused('CV_ARGUMENT_INVALID', 'raftId: a manager has or had this Raft id', {
      field: 'raftId',
    });
  }
  return refuseCertificate(scope, id, certificate);
}

/** Ends a demotion: the quorum has let go of the node, which is a worker from here on. */
export function noteDemoted(scope: Scope, command: CommandOf<'node.demoted'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  if (row.role === 'worker') return done(scope, { id: row.id, unchanged: true });
  if (row.manager?.membership !== 'removing' || row.wantedRole !== 'worker') {
    return inUse('the node is not being demoted', row.id);
  }
  journal.put(tables.nodes, { ...row, role: 'worker', manager: undefined, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

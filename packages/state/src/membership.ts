import { limits } from '@conclave/kernel';
import type { CommandResult } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import type { Tables } from './tables.js';

/** First entry of a cluster: its row and the node that made it. */
export function createCluster(scope: Scope, command: CommandOf<'cluster.create'>): CommandResult {
  const { tables, journal, index } = scope;
  if (tables.clusterRow() !== undefined) {
    return refused('CV_ALREADY_INITIALIZED', 'the cluster exists already');
  }
  const { manager } = command.node;
  if (command.node.role !== 'manager' || manager === undefined) {
    return refused('CV_ARGUMENT_INVALID', 'node: the first node must be a manager', {
      field: 'node',
    });
  }
  journal.put(tables.cluster, { ...command.cluster, objectVersion: index });
  journal.put(tables.nodes, { ...command.node, objectVersion: index });
  journal.put(tables.raftIds, {
    raftId: manager.raftId,
    nodeId: command.node.id,
    sinceIndex: index,
  });
  return done(scope, { id: command.cluster.id, nodeId: command.node.id });
}

/** Changes settings of the cluster; they count for what is issued from here on. */
export function setClusterSettings(
  scope: Scope,
  command: CommandOf<'cluster.settings'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.clusterRow();
  if (row === undefined) return refused('CV_NOT_INITIALIZED', 'the cluster does not exist yet');
  if (isStale(command.objectVersion, row.objectVersion)) {
    return stale('the cluster', row.objectVersion);
  }
  const { managerLifeMs, workerLifeMs, adminLifeMs } = command.certificates;
  const known = row.settings.certificates;
  const certificates = {
    managerLifeMs: managerLifeMs ?? known.managerLifeMs,
    workerLifeMs: workerLifeMs ?? known.workerLifeMs,
    adminLifeMs: adminLifeMs ?? known.adminLifeMs,
  };
  const settings = { ...row.settings, certificates };
  journal.put(tables.cluster, { ...row, settings, objectVersion: index });
  return done(scope, { id: row.id });
}

/** Notes what the Raft configuration or the ring of a manager has become. */
export function setMembership(scope: Scope, command: CommandOf<'node.membership'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return refused('CV_NODE_NOT_FOUND', 'no node has this id');
  if (row.manager === undefined) {
    return refused('CV_ARGUMENT_INVALID', 'id: the node is not a manager', { field: 'id' });
  }
  // On its way out is final: a step that the leader began before must not call it back.
  const isLeaving = row.manager.membership === 'removing';
  if (command.membership === 'removing' && row.manager.membership === 'voter') {
    const refusal = refuseWithout(scope, [row.id]);
    if (refusal !== undefined) return refusal;
  }
  const membership = isLeaving ? 'removing' : (command.membership ?? row.manager.membership);
  const ringGeneration = command.ringGeneration ?? row.manager.ringGeneration;
  // Who leaves is not demoted: the row goes with the membership.
  const wantedRole = command.membership === 'removing' ? row.role : row.wantedRole;
  const isSame =
    row.manager.membership === membership &&
    row.manager.ringGeneration === ringGeneration &&
    row.wantedRole === wantedRole;
  if (isSame) return done(scope, { id: row.id, unchanged: true });
  const manager = { ...row.manager, membership, ringGeneration };
  journal.put(tables.nodes, { ...row, wantedRole, manager, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

/**
 * Why the managers cannot go on without these: half of the other voters or more are not READY.
 * Decided here, where two that leave at the same time come one after the other.
 */
export function refuseWithout(
  { tables }: Pick<Scope, 'tables'>,
  nodeIds: readonly string[],
): CommandResult | undefined {
  const voters = [...tables.nodes.values()].filter(
    (node) => node.manager?.membership === 'voter' && !nodeIds.includes(node.id),
  );
  const ready = voters.filter((node) => node.state === 'READY');
  if (voters.length > 0 && ready.length > voters.length / 2) return undefined;
  return refused(
    'CV_LAST_MANAGER',
    `without ${nodeIds.length === 1 ? 'this manager' : 'these managers'} ` +
      `${ready.length} of ${voters.length} voters could be reached: no quorum`,
    { id: nodeIds.join(' ') },
  );
}

/** Notes under which addresses a manager is reached. */
export function setAddresses(scope: Scope, command: CommandOf<'node.addresses'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return refused('CV_NODE_NOT_FOUND', 'no node has this id');
  if (row.manager === undefined) {
    return refused('CV_ARGUMENT_INVALID', 'id: the node is not a manager', { field: 'id' });
  }
  const { clusterAddress, joinAddress } = command;
  const isSame =
    row.manager.clusterAddress === clusterAddress && row.manager.joinAddress === joinAddress;
  if (isSame) return done(scope, { id: row.id, unchanged: true });
  const manager = { ...row.manager, clusterAddress, joinAddress };
  journal.put(tables.nodes, { ...row, manager, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

/** Why there cannot be another manager. Hosts that wait for approval do not count: they are none. */
export function refuseAnotherManager(tables: Tables): CommandResult | undefined {
  const managers = [...tables.nodes.values()].filter(
    ({ manager, waiting, wantedRole }) =>
      waiting === undefined && (manager !== undefined || wantedRole === 'manager'),
  );
  if (managers.length < limits.MANAGER_COUNT_MAX) return undefined;
  return refused('CV_LIMIT_EXCEEDED', `more than ${limits.MANAGER_COUNT_MAX} managers`, {
    limit: limits.MANAGER_COUNT_MAX,
  });
}

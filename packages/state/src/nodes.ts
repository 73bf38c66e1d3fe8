import { limits } from '@conclave/kernel';
import { refuseCertificate } from './certificates.js';
import { refuseAnotherManager } from './membership.js';
import type { NodeObservation } from './commands.js';
import type { CommandResult, NodeRow, TokenRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import { isEnded, rowsOf } from './tables.js';
import type { Tables } from './tables.js';
import { moveTask } from './tasks.js';
import { tokenFault } from './tokens.js';

const notFound = (): CommandResult =>
  refused('CV_NODE_NOT_FOUND', 'no node has this id or host name');
const invalid = (field: string, rule: string): CommandResult =>
  refused('CV_ARGUMENT_INVALID', `${field}: ${rule}`, { field });

/** Takes one use of the token and creates the node with the token's role, or does neither. */
export function joinNode(scope: Scope, command: CommandOf<'node.join'>): CommandResult {
  const { tables, journal, index } = scope;
  const { node } = command;
  const token = tables.tokens.get(command.tokenId);
  const fault = tokenFault(token, command.atMs);
  if (token === undefined || fault !== undefined) {
    return refused('CV_TOKEN_INVALID', `the join token ${fault ?? 'is unknown'}`);
  }
  if (tables.nodes.has(node.id) || tables.removedNodes.has(node.id)) {
    return invalid('id', 'a node has or had this id');
  }
  const refusal =
    refuseCertificate(scope, node.id, node.certificate) ?? refuseManager(tables, token, node);
  if (refusal !== undefined) return refusal;
  journal.put(tables.tokens, {
    ...token,
    usesLeft: token.usesLeft - 1,
    admittedNodes: [...token.admittedNodes, node.id],
    objectVersion: index,
  });
  const manager =
    node.manager === undefined ? undefined : { ...node.manager, membership: 'joining' as const };
  const { role, id: tokenId, needsApproval } = token;
  journal.put(tables.nodes, {
    ...node,
    role,
    wantedRole: role,
    tokenId,
    manager: needsApproval ? undefined : manager,
    waiting: needsApproval ? { manager } : undefined,
    objectVersion: index,
  });
  if (manager !== undefined) {
    journal.put(tables.raftIds, { raftId: manager.raftId, nodeId: node.id, sinceIndex: index });
  }
  return done(scope, { id: node.id, role, raftId: manager?.raftId ?? 0 });
}

/** Lets a node that has joined be what its token says; what it asked before was refused. */
export function approveNode(scope: Scope, command: CommandOf<'node.approve'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  if (row.waiting === undefined) return done(scope, { id: row.id, unchanged: true });
  const { manager } = row.waiting;
  const isEnded = manager !== undefined && row.certificate.notAfterMs < command.atMs;
  if (isEnded || isOfFormerRoot(tables, row)) {
    return refused(
      'CV_NODE_OUTDATED',
      'the certificate of the host is good for nothing by now: remove it and let it join anew',
      { id: row.id },
    );
  }
  const refusal = manager === undefined ? undefined : refuseAnotherManager(tables);
  if (refusal !== undefined) return refusal;
  journal.put(tables.nodes, { ...row, manager, waiting: undefined, objectVersion: index });
  if (manager !== undefined) {
    journal.put(tables.raftIds, { raftId: manager.raftId, nodeId: row.id, sinceIndex: index });
  }
  return done(scope, { id: row.id, unchanged: false });
}

/** A rotation does not wait for hosts that wait: the root that such a host knows may be gone. */
function isOfFormerRoot(tables: Tables, { certificate }: NodeRow): boolean {
  const cluster = tables.clusterRow();
  const isInForce = certificate.root === (cluster?.rootGeneration ?? certificate.root);
  return !isInForce && cluster?.rootRotation?.phase !== 'renewing';
}

function refuseManager(
  tables: Tables,
  token: TokenRow,
  node: Pick<NodeRow, 'manager'>,
): CommandResult | undefined {
  const { manager } = node;
  if (token.role === 'worker') {
    return manager === undefined ? undefined : invalid('role', 'the token admits workers only');
  }
  if (manager === undefined) return invalid('manager', 'a manager needs its Raft id and addresses');
  if (tables.raftIds.has(String(manager.raftId))) {
    return invalid('raftId', 'a manager has or had this Raft id');
  }
  return refuseAnotherManager(tables);
}

/** Changes what an operator decides about a node: availability and labels. */
export function updateNode(scope: Scope, command: CommandOf<'node.update'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  if (isStale(command.objectVersion, row.objectVersion))
    return stale('the node', row.objectVersion);
  const removed = new Set(command.labelsRemove);
  const kept = Object.entries(row.labels).filter(([key]) => !removed.has(key));
  // Built from entries, so that a label called __proto__ is a label like any other.
  const labels = Object.fromEntries([...kept, ...Object.entries(command.labelsSet)]);
  if (Object.keys(labels).length > limits.LABEL_COUNT_MAX) {
    return invalid('labels', `more than ${limits.LABEL_COUNT_MAX} pairs`);
  }
  const availability = command.availability ?? row.availability;
  journal.put(tables.nodes, { ...row, availability, labels, objectVersion: index });
  return done(scope, { id: row.id });
}

/** Gives a node its next certificate; the one it uses stays in the active set for a while. */
export function renewNode(scope: Scope, command: CommandOf<'node.renew'>): CommandResult {
  const { tables, journal, index } = scope;
  const { usedSerial, certificate, previousUntilMs } = command;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  const { id } = row;
  if (row.certificate.serial === certificate.serial) return done(scope, { id, unchanged: true });
  const refusal = refuseCertificate(scope, id, certificate);
  if (refusal !== undefined) return refusal;
  const previousCertificate = [row.certificate, row.previousCertificate].find(
    (known) => known?.serial === usedSerial,
  );
  if (previousCertificate === undefined) {
    return refused('CV_UNAUTHENTICATED', 'the certificate is not accepted any more', { id });
  }
  // A manager keeps its key. Another one is that of the worker it was, in a renewal that came late.
  const isOtherKey = certificate.publicKeyHash !== row.certificate.publicKeyHash;
  if (row.role === 'manager' && isOtherKey) {
    return refused('CV_STATE_STALE', 'the node has another role meanwhile', { id });
  }
  journal.put(tables.nodes, {
    ...row,
    certificate,
    previousCertificate,
    previousUntilMs,
    objectVersion: index,
  });
  return done(scope, { id, unchanged: false });
}

/** Notes which nodes are there and which are not; nodes that are gone are skipped. */
export function observeNodes(scope: Scope, command: CommandOf<'nodes.observe'>): CommandResult {
  const counts = { applied: 0, unchanged: 0, unknown: 0 };
  for (const observation of command.nodes) counts[observe(scope, observation)] += 1;
  return done(scope, counts);
}

function observe(scope: Scope, seen: NodeObservation): 'applied' | 'unchanged' | 'unknown' {
  const { tables, journal, index, command } = scope;
  const row = tables.nodes.get(seen.id);
  if (row === undefined) return 'unknown';
  const isSameState = row.state === seen.state && row.message === seen.message;
  if (isSameState && seen.session === undefined) return 'unchanged';
  const stateAtMs = row.state === seen.state ? row.stateAtMs : command.atMs;
  const observed = { ...row, state: seen.state, message: seen.message, stateAtMs };
  if (seen.session === undefined) {
    journal.put(tables.nodes, { ...observed, objectVersion: index });
    return 'applied';
  }
  // What it is called, and what placement goes by, is that of the join: an agent might lie.
  const { id: sessionId, daemonVersion, executors } = seen.session;
  const sessionCount = row.sessionCount + 1;
  journal.put(tables.nodes, {
    ...observed,
    daemonVersion,
    executors,
    sessionId,
    sessionCount,
    objectVersion: index,
  });
  return 'applied';
}

/**
 * Removes a node with its certificates in one entry, so that it is refused from here on. Its live
 * tasks become ORPHANED; that it was removed, what it was exposed to and its Raft id stay on record.
 */
export function removeNode(scope: Scope, command: CommandOf<'node.remove'>): CommandResult {
  const { tables } = scope;
  const row = tables.nodes.get(command.id);
  if (row === undefined) return notFound();
  if (row.manager?.membership === 'voter' || row.manager?.membership === 'learner') {
    return refused(
      'CV_NODE_IN_USE',
      'the node is a member of the quorum: force takes it out of the quorum first',
      {
        id: row.id,
        membership: row.manager.membership,
      },
    );
  }
  if (row.state === 'READY' && !command.force) {
    return refused('CV_NODE_IN_USE', 'the node is READY: stop it first, or force the removal', {
      id: row.id,
    });
  }
  const orphaned = strikeNode(scope, row);
  const exposures = tables.indexes.exposureByNode.count(row.id);
  return done(scope, { id: row.id, orphaned, exposures });
}

/** Takes a node out of the tables; answers how many of its tasks became ORPHANED. */
export function strikeNode(scope: Scope, row: NodeRow): number {
  const { tables, journal, command } = scope;
  const { tasksByNode } = tables.indexes;
  const live = rowsOf(tables.tasks, tasksByNode.keys(row.id)).filter(
    ({ state }) => !isEnded(state),
  );
  // Sorted: the order of an index is not replicated, the order of the changes should be.
  for (const task of live.sort((left, right) => (left.id < right.id ? -1 : 1))) {
    moveTask(scope, task, {
      state: 'ORPHANED',
      message: 'its node was removed',
      stateAtMs: command.atMs,
    });
  }
  journal.remove(tables.nodes, row.id);
  noteRemoval(scope, row.id);
  return live.length;
}

function noteRemoval({ tables, journal, index }: Scope, nodeId: string): void {
  journal.put(tables.removedNodes, { nodeId, index });
  if (tables.removedNodes.size <= limits.REMOVED_NODES_MAX) return;
  const oldest = tables.removedNodes.takeOldestKey();
  if (oldest !== undefined) journal.remove(tables.removedNodes, oldest);
}

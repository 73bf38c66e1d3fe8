import { endAdmins } from './admins.js';
import type { CommandResult, CompromiseRow, CompromiseStep, EvictedNode, NodeRow } from './rows.js';
import { refuseWithout } from './membership.js';
import { strikeNode } from './nodes.js';
import { managersWithOldRecovery } from './recovery.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import type { Tables } from './tables.js';
import { endTokens } from './tokens.js';

/**
 * Begins a recovery from a compromise, or adds nodes to the one that is not over. In one entry the
 * nodes lose their place, and all join tokens and, if asked, all administrators end. Managers are
 * taken out of the quorum by the leader, which strikes them then.
 */
export function beginCompromise(
  scope: Scope,
  command: CommandOf<'compromise.begin'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const cluster = tables.clusterRow();
  if (cluster === undefined) return refused('CV_NOT_INITIALIZED', 'the cluster does not exist yet');
  const rows = command.evict.flatMap((id) => tables.nodes.get(id) ?? []);
  if (rows.length < command.evict.length) {
    return refused('CV_NODE_NOT_FOUND', 'a node that is to be evicted has gone meanwhile');
  }
  const refusal = refuseEviction(tables, rows);
  if (refusal !== undefined) return refusal;
  for (const row of rows) evict(scope, row);
  endTokens(scope);
  if (command.endsAdmins) endAdmins(scope);
  const compromise = recordOf(command, cluster.compromise, rows);
  journal.put(tables.cluster, { ...cluster, compromise, objectVersion: index });
  return done(scope, { evicted: rows.length });
}

function recordOf(
  { atMs, by, ...asked }: CommandOf<'compromise.begin'>,
  before: CompromiseRow | undefined,
  rows: readonly NodeRow[],
): CompromiseRow {
  const evicted: EvictedNode[] = [...(before?.evicted ?? [])];
  for (const { id, hostname, manager } of rows) {
    if (evicted.some((known) => known.id === id)) continue;
    evicted.push({ id, hostname, isManager: manager !== undefined });
  }
  const endsAdmins = asked.endsAdmins || before?.endsAdmins === true;
  const isSameTrust = evicted.slice(before?.evicted.length).every(({ isManager }) => !isManager);
  // A manager has had every key that was made before it left: they are made anew once more.
  if (before !== undefined && isSameTrust) return { ...before, evicted, endsAdmins };
  return {
    evicted,
    endsAdmins,
    isRootAsked: false,
    isRingAsked: false,
    recoveryGeneration: 0,
    startedAtMs: before?.startedAtMs ?? atMs,
    startedBy: before?.startedBy ?? by,
  };
}

/** Why these nodes cannot be taken out: too few of the managers that stay can be reached. */
export function refuseEviction(
  tables: Tables,
  rows: readonly NodeRow[],
): CommandResult | undefined {
  const managers = rows.filter(({ manager }) => manager?.membership === 'voter');
  return managers.length === 0
    ? undefined
    : refuseWithout(
        { tables },
        managers.map(({ id }) => id),
      );
}

function evict(scope: Scope, row: NodeRow): void {
  const { tables, journal, index } = scope;
  const { manager } = row;
  const isMember = manager?.membership === 'voter' || manager?.membership === 'learner';
  if (manager === undefined || !isMember) {
    strikeNode(scope, row);
    return;
  }
  journal.put(tables.nodes, {
    ...row,
    wantedRole: row.role,
    manager: { ...manager, membership: 'removing' },
    objectVersion: index,
  });
}

/** What is left of a recovery, in the order in which it is to be done. */
export function openSteps(tables: Tables): CompromiseStep[] {
  const cluster = tables.clusterRow();
  const compromise = cluster?.compromise;
  if (cluster === undefined || compromise === undefined) return [];
  const isOpen: Readonly<Record<CompromiseStep, boolean>> = {
    evict: compromise.evicted.some(({ id }) => tables.nodes.has(id)),
    root: !compromise.isRootAsked || cluster.rootRotation !== undefined,
    ring: !compromise.isRingAsked || cluster.ringRotation !== undefined,
    'recovery-key':
      compromise.recoveryGeneration === 0 ||
      cluster.recovery.generation < compromise.recoveryGeneration ||
      managersWithOldRecovery(tables).length > 0,
  };
  return COMPROMISE_STEPS.filter((step) => isOpen[step]);
}

/** In their order. */
const COMPROMISE_STEPS: readonly CompromiseStep[] = ['evict', 'root', 'ring', 'recovery-key'];

/** Ends a recovery; refused while a step is open. */
export function finishCompromise(scope: Scope): CommandResult {
  const { tables, journal, index } = scope;
  const cluster = tables.clusterRow();
  if (cluster?.compromise === undefined) return done(scope, { unchanged: true });
  const open = openSteps(tables);
  if (open.length > 0) {
    return refused('CV_STATE_STALE', `the recovery is not over: ${open.join(', ')}`);
  }
  journal.put(tables.cluster, { ...cluster, compromise: undefined, objectVersion: index });
  return done(scope, { unchanged: false });
}

import type { ClusterRow, CommandResult } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';

const noCluster = (): CommandResult =>
  refused('CV_NOT_INITIALIZED', 'the cluster does not exist yet');

/**
 * Notes the public half of the next recovery key. Both keys open the managers' slots until it is
 * confirmed; one that was staged before and never confirmed is given up.
 */
export function stageRecovery(scope: Scope, command: CommandOf<'recovery.stage'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.clusterRow();
  if (row === undefined) return noCluster();
  const generation = (row.stagedRecovery ?? row.recovery).generation + 1;
  journal.put(tables.cluster, {
    ...row,
    stagedRecovery: { ...command.recovery, generation },
    stagedRecoveryBy: [],
    objectVersion: index,
  });
  return done(scope, { generation });
}

/** Notes that a manager's keys open with the staged recovery key. */
export function noteRecovery(scope: Scope, command: CommandOf<'recovery.sealed'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.clusterRow();
  if (row === undefined) return noCluster();
  const { id, generation } = command;
  const isOver = row.stagedRecovery?.generation !== generation;
  if (isOver || row.stagedRecoveryBy.includes(id)) return done(scope, { unchanged: true });
  const stagedRecoveryBy = [...row.stagedRecoveryBy, id];
  journal.put(tables.cluster, { ...row, stagedRecoveryBy, objectVersion: index });
  return done(scope, { unchanged: false });
}

/** Puts the staged recovery key in force; refused while a manager does not open with it. */
export function confirmRecovery(
  scope: Scope,
  command: CommandOf<'recovery.confirm'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.clusterRow();
  if (row === undefined) return noCluster();
  const { generation } = command;
  if (row.recovery.generation === generation) return done(scope, { unchanged: true });
  const { stagedRecovery } = row;
  if (stagedRecovery?.generation !== generation) {
    return refused('CV_RECOVERY_PENDING', 'another recovery key was staged meanwhile', {
      generation,
    });
  }
  const missing = managersWithout(scope, row);
  if (missing.length > 0) {
    return refused(
      'CV_RECOVERY_PENDING',
      `not every manager is sealed to the new recovery key yet: ${missing.join(', ')}`,
      { managers: missing },
    );
  }
  journal.put(tables.cluster, {
    ...row,
    recovery: stagedRecovery,
    stagedRecovery: undefined,
    stagedRecoveryBy: [],
    objectVersion: index,
  });
  return done(scope, { unchanged: false });
}

/** Host names of managers that have not said that the staged key opens theirs. */
function managersWithout({ tables }: Scope, row: ClusterRow): readonly string[] {
  return [...tables.nodes.values()]
    .filter(({ id, manager }) => manager !== undefined && !row.stagedRecoveryBy.includes(id))
    .map(({ hostname }) => hostname)
    .sort();
}

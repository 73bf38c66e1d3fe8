import { noteStep } from './compromise-note.js';
import type { ClusterRow, CommandResult, NodeRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import type { Tables } from './tables.js';

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
    ...noteStep(tables, row, { recoveryGeneration: generation }),
    objectVersion: index,
  });
  return done(scope, { generation });
}

/**
 * Notes that a manager's keys open with the staged recovery key; or, of the one in force, that they
 * open with none before it any more.
 */
export function noteRecovery(scope: Scope, command: CommandOf<'recovery.sealed'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.clusterRow();
  if (row === undefined) return noCluster();
  const { id, generation } = command;
  if (row.recovery.generation === generation && row.oldRecoveryOn.includes(id)) {
    const oldRecoveryOn = row.oldRecoveryOn.filter((known) => known !== id);
    journal.put(tables.cluster, { ...row, oldRecoveryOn, objectVersion: index });
    return done(scope, { unchanged: false });
  }
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
    oldRecoveryOn: managersOf(scope).map(({ id }) => id),
    objectVersion: index,
  });
  return done(scope, { unchanged: false });
}

/** Managers that may still have something that opens with the recovery key before. */
export function managersWithOldRecovery(tables: Tables): NodeRow[] {
  const ids = new Set(tables.clusterRow()?.oldRecoveryOn);
  return [...tables.nodes.values()].filter(
    ({ id, manager }) => manager !== undefined && ids.has(id),
  );
}

function managersOf({ tables }: Scope): NodeRow[] {
  return [...tables.nodes.values()].filter(({ manager }) => manager !== undefined);
}

/** Host names of managers that have not said that the staged key opens theirs. */
function managersWithout(scope: Scope, row: ClusterRow): readonly string[] {
  return managersOf(scope)
    .filter(({ id }) => !row.stagedRecoveryBy.includes(id))
    .map(({ hostname }) => hostname)
    .sort();
}

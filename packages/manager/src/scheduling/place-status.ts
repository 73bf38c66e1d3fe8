import { isOnNode } from '@conclave/state';
import type { ServiceRow, TaskRow } from '@conclave/state';
import type { Place } from './places.js';
import { restartVerdict } from './restart-policy.js';
import type { RestartVerdict } from './restart-policy.js';
import { isUnplaced } from './task-kinds.js';

/** What a place needs. */
export type PlaceStatus =
  /** Its task is what the service asks for. `before`: the one that it takes over from. */
  | {
      readonly kind: 'served';
      readonly task: TaskRow;
      readonly before: TaskRow | undefined;
      readonly spare: readonly TaskRow[];
    }
  /** Its task is of an older spec: an update has to replace it, unless it gave up here. */
  | {
      readonly kind: 'outdated';
      readonly task: TaskRow;
      readonly spare: readonly TaskRow[];
      readonly next: RestartVerdict;
    }
  /** The old task of an update has yet to stop. */
  | { readonly kind: 'stopping' }
  /** A task is to be created. */
  | { readonly kind: 'empty'; readonly notBeforeMs: number; readonly message: string }
  /** Nothing runs and nothing is to run; `isOutdated`: unless an update starts it again. */
  | { readonly kind: 'down'; readonly isOutdated: boolean };

/** What the status of a place depends on besides its tasks. */
export interface PlaceRules {
  readonly service: ServiceRow;
  /** Runs what the service asks for, on a node of the right kind. */
  readonly isCurrent: (task: TaskRow) => boolean;
  /** The node will tell how its tasks end: it is connected. */
  readonly isReachable: (nodeId: string) => boolean;
}

/** Judges one place by its tasks; the places of an update are judged one by one, see UpdateGate. */
export function statusOf(place: Place, rules: PlaceRules): PlaceStatus {
  const { spec, specVersion } = rules.service;
  const [task, before, spare] = sortWanted(place.wanted, rules.isCurrent);
  if (task !== undefined) return { kind: 'served', task, before, spare };
  if (before !== undefined) {
    // Start-first tasks that failed while the old one went on: their tries count as restarts.
    const tries = place.ended.filter((ended) => ended.specVersion === specVersion);
    return { kind: 'outdated', task: before, spare, next: restartVerdict(spec.restart, tries) };
  }
  if (mustWait(place, rules)) return { kind: 'stopping' };
  const verdict = restartVerdict(spec.restart, place.ended);
  if (verdict.kind === 'restart') {
    return { kind: 'empty', notBeforeMs: verdict.notBeforeMs, message: verdict.message };
  }
  const last = place.ended[0];
  return { kind: 'down', isOutdated: last !== undefined && !rules.isCurrent(last) };
}

const NONE: readonly TaskRow[] = [];

/**
 * The current task to keep, the outdated one to keep until then, and what is left over where one
 * update followed another half way.
 */
function sortWanted(
  wanted: readonly TaskRow[],
  isCurrent: (task: TaskRow) => boolean,
): readonly [TaskRow | undefined, TaskRow | undefined, readonly TaskRow[]] {
  const only = wanted[0];
  if (wanted.length <= 1) {
    const isNew = only !== undefined && isCurrent(only);
    return isNew ? [only, undefined, NONE] : [undefined, only, NONE];
  }
  const ranked = wanted.toSorted(byRank);
  const task = ranked.find(isCurrent);
  const before = ranked.find((other) => !isCurrent(other));
  return [task, before, ranked.filter((other) => other !== task && other !== before)];
}

/** The furthest on its way, the oldest of equals. */
function byRank(left: TaskRow, right: TaskRow): number {
  return (
    rank(left) - rank(right) ||
    left.createdAtMs - right.createdAtMs ||
    (left.id < right.id ? -1 : 1)
  );
}

function rank(task: TaskRow): number {
  return task.state === 'RUNNING' ? 0 : isUnplaced(task) ? 2 : 1;
}

/** Stop-first: the old task of an update has to end where that can be seen. */
function mustWait(place: Place, { service, isCurrent, isReachable }: PlaceRules): boolean {
  if (service.spec.update.order !== 'stop-first') return false;
  return place.stopping.some(
    (task) => isOnNode(task.state) && !isCurrent(task) && isReachable(task.nodeId),
  );
}

import type { ServiceRow, TaskRow } from '@conclave/state';
import type { Place } from './places.js';
import { restartVerdict } from './restart-policy.js';
import type { RestartVerdict } from './restart-policy.js';
import { isOnNode, isUnplaced } from './task-kinds.js';

/** What a place needs. */
export type PlaceStatus =
  /** Its task is what the service asks for. `outdated`: ones that it takes over from. */
  | { readonly kind: 'served'; readonly task: TaskRow; readonly outdated: readonly TaskRow[] }
  /** Only tasks of an older spec: an update has to replace them, unless it gave up here. */
  | {
      readonly kind: 'outdated';
      readonly tasks: readonly TaskRow[];
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
  const current = place.wanted.filter(rules.isCurrent);
  const outdated = place.wanted.filter((task) => !rules.isCurrent(task));
  const best = bestOf(current);
  if (best !== undefined) {
    // More than one current task should not be; if it is, the others go.
    const spare = current.filter((task) => task !== best);
    return { kind: 'served', task: best, outdated: [...outdated, ...spare] };
  }
  const { spec, specVersion } = rules.service;
  if (outdated.length > 0) {
    // Start-first tasks that failed while the old one went on: their tries count as restarts.
    const tries = place.ended.filter((task) => task.specVersion === specVersion);
    return { kind: 'outdated', tasks: outdated, next: restartVerdict(spec.restart, tries) };
  }
  if (mustWait(place, rules)) return { kind: 'stopping' };
  const verdict = restartVerdict(spec.restart, place.ended);
  if (verdict.kind === 'restart') {
    return { kind: 'empty', notBeforeMs: verdict.notBeforeMs, message: verdict.message };
  }
  const last = place.ended[0];
  return { kind: 'down', isOutdated: last !== undefined && !rules.isCurrent(last) };
}

/** The one to keep: the furthest on its way, the oldest of equals. */
function bestOf(tasks: readonly TaskRow[]): TaskRow | undefined {
  return [...tasks].sort(
    (left, right) =>
      rank(left) - rank(right) ||
      left.createdAtMs - right.createdAtMs ||
      (left.id < right.id ? -1 : 1),
  )[0];
}

function rank(task: TaskRow): number {
  return task.state === 'RUNNING' ? 0 : isUnplaced(task) ? 2 : 1;
}

/** Stop-first: the old task of an update has to end where that can be seen. */
function mustWait(place: Place, { service, isCurrent, isReachable }: PlaceRules): boolean {
  if (service.spec.update.order !== 'stop-first') return false;
  return place.stopping.some(
    (task) => isOnNode(task) && !isCurrent(task) && isReachable(task.nodeId),
  );
}

import type { NodeRow, TaskRow } from '@conclave/state';
import { isForTasks } from './node-fitness.js';
import type { NodeFitness } from './node-fitness.js';
import { emptyPlace } from './places.js';
import type { Place } from './places.js';
import { isUnplaced } from './task-kinds.js';

/** The places that a service has, and those that it has no longer. */
export interface PlaceChoice {
  readonly kept: readonly Place[];
  readonly dropped: readonly Place[];
}

/**
 * Slots of a replicated service: too many lose the least healthy, then the newest; missing ones get
 * the lowest free numbers.
 */
export function chooseReplicated(
  places: ReadonlyMap<number, Place>,
  replicas: number,
  isLost: (task: TaskRow) => boolean,
): PlaceChoice {
  const ranked = [...places.values()];
  if (places.size > replicas) sortByHealth(ranked, isLost);
  const kept = ranked.slice(0, replicas);
  for (let slot = 1; kept.length < replicas; slot += 1) {
    if (!places.has(slot)) kept.push(emptyPlace(slot, ''));
  }
  kept.sort((left, right) => left.slot - right.slot);
  return { kept, dropped: ranked.slice(replicas) };
}

function sortByHealth(places: Place[], isLost: (task: TaskRow) => boolean): void {
  const ranks = new Map(places.map((place) => [place, healthRank(place, isLost)]));
  places.sort(
    (left, right) => (ranks.get(left) ?? 0) - (ranks.get(right) ?? 0) || left.slot - right.slot,
  );
}

/** 0 is the healthiest. */
function healthRank(place: Place, isLost: (task: TaskRow) => boolean): number {
  const healthy = place.wanted.filter((task) => !isLost(task));
  if (healthy.some((task) => task.state === 'RUNNING')) return 0;
  if (healthy.some((task) => !isUnplaced(task))) return 1;
  return healthy.length > 0 ? 2 : 3;
}

/** What {@link chooseGlobal} chooses from. */
export interface GlobalChoiceInput {
  /** By node id. */
  readonly places: ReadonlyMap<string, Place>;
  readonly nodes: Iterable<NodeRow>;
  readonly fitness: NodeFitness;
}

/**
 * A global service has a place on every worker of the right kind. A paused or DOWN node keeps the
 * place that it has and gets none; a drained one loses it.
 */
export function chooseGlobal({ places, nodes, fitness }: GlobalChoiceInput): PlaceChoice {
  const kept: Place[] = [];
  const rest = new Map(places);
  const gone: Place = emptyPlace(0, '');
  const known = new Set<string>();
  for (const node of nodes) {
    known.add(node.id);
    const place = places.get(node.id);
    const takesNew = fitness.refusalOfNew(node) === undefined;
    const keeps = isForTasks(node) && isRightKind(node);
    if (takesNew || (place !== undefined && keeps)) {
      kept.push(place ?? emptyPlace(0, node.id));
      rest.delete(node.id);
    }
  }
  const dropped = [...rest.values()].filter((place) => known.has(place.nodeId));
  // Nodes come and go: what ran on removed ones shares one history.
  for (const place of rest.values()) {
    if (known.has(place.nodeId)) continue;
    gone.wanted.push(...place.wanted);
    gone.stopping.push(...place.stopping);
    gone.ended.push(...place.ended);
  }
  gone.ended.sort((left, right) => right.objectVersion - left.objectVersion);
  return { kept, dropped: [...dropped, gone] };

  function isRightKind(node: NodeRow): boolean {
    return fitness.refusalOfKind(node) === undefined;
  }
}

import { isEnded } from '@conclave/state';
import type { TaskRow } from '@conclave/state';
import { isWanted } from './task-kinds.js';

/**
 * Where one task of a service belongs: a slot of a replicated service, a node of a global one.
 * At most one task of a place is meant to run, two while an update starts the new one first.
 */
export interface Place {
  readonly slot: number;
  /** Global services: the node. */
  readonly nodeId: string;
  /** Meant to run, not ended. */
  readonly wanted: TaskRow[];
  /** Told to stop, not ended. */
  readonly stopping: TaskRow[];
  /** Ended and kept as history: newest first. */
  readonly ended: TaskRow[];
}

/** An empty place. */
export function emptyPlace(slot: number, nodeId: string): Place {
  return { slot, nodeId, wanted: [], stopping: [], ended: [] };
}

/** Tasks sorted into places by `keyOf`; tasks that are to be removed belong to none. */
export function groupPlaces<Key>(
  tasks: readonly TaskRow[],
  keyOf: (task: TaskRow) => Key,
): Map<Key, Place> {
  const places = new Map<Key, Place>();
  for (const task of tasks) {
    if (task.desiredState === 'REMOVE') continue;
    const key = keyOf(task);
    let place = places.get(key);
    if (place === undefined) {
      place = emptyPlace(task.slot, task.slot === 0 ? task.nodeId : '');
      places.set(key, place);
    }
    const list = isEnded(task.state) ? place.ended : isWanted(task) ? place.wanted : place.stopping;
    list.push(task);
  }
  for (const place of places.values()) place.ended.sort(byEnd);
  return places;
}

/** By log index of the last change, which for an ended task is its end: order, never time. */
function byEnd(left: TaskRow, right: TaskRow): number {
  return right.objectVersion - left.objectVersion || (left.id < right.id ? -1 : 1);
}

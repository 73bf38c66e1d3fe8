import { isEnded } from '@conclave/state';
import type { ServiceRow, ServiceSpec, TaskRow } from '@conclave/state';

/** True when the task has not ended and is meant to run. */
export function isWanted(task: TaskRow): boolean {
  return task.desiredState === 'RUNNING' && !isEnded(task.state);
}

/** True when no node was told about the task yet. */
export function isUnplaced(task: TaskRow): boolean {
  return task.state === 'NEW' || task.state === 'PENDING';
}

/** True when the task ended badly and nobody had told it to stop. */
export function isFailure(task: TaskRow): boolean {
  return task.desiredState === 'RUNNING' && (task.state === 'FAILED' || task.state === 'REJECTED');
}

/** True when the task ended by itself, well or badly, and nobody had told it to stop. */
export function isSelfEnded(task: TaskRow): boolean {
  return isFailure(task) || (task.desiredState === 'RUNNING' && task.state === 'COMPLETE');
}

/**
 * Since when the task is in its state, milliseconds since 1970. Agents report the time; one whose
 * clock is behind must not make a delay look over before the task was even created.
 */
export function stateSinceMs(task: TaskRow): number {
  return Math.max(task.stateAtMs, task.createdAtMs);
}

/** The parts of a spec that a running task was started with; the rest only guides the scheduler. */
const RUN_FIELDS = [
  'runtime',
  'command',
  'image',
  'env',
  'workingDirectory',
  'user',
  'bindings',
  'stopSignal',
  'stopGraceMs',
] as const satisfies readonly (keyof ServiceSpec)[];

/** True when a task started with `left` is exactly what `right` asks for. */
export function isSameRun(left: ServiceSpec, right: ServiceSpec): boolean {
  return RUN_FIELDS.every((field) => isEqualData(left[field], right[field]));
}

/** Compares plain data: the depth is that of a spec, never that of outside input. */
function isEqualData(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null || Array.isArray(left) !== Array.isArray(right)) return false;
  const [before, after] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (!isEqualData(before.get(key), after.get(key))) return false;
  }
  return true;
}

/** Tells tasks of a service that run what it asks for from those that an update has to replace. */
export function currentTest(service: ServiceRow): (task: TaskRow) => boolean {
  // Tasks of one spec version have one spec: each is compared once.
  const known = new Map<number, boolean>([[service.specVersion, true]]);
  return (task) => {
    const cached = known.get(task.specVersion);
    if (cached !== undefined) return cached;
    const isCurrent = isSameRun(task.spec, service.spec);
    known.set(task.specVersion, isCurrent);
    return isCurrent;
  };
}

import type { ServiceSpec } from './rows.js';

/** Fields of a spec that say how many tasks and how to replace them, not what a task is. */
const UNFOLLOWED: ReadonlySet<string> = new Set(['replicas', 'update', 'labels']);

/** True when two plain values (numbers, texts, arrays, objects) are the same in depth. */
export function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) if (!isSame(fieldOf(left, key), fieldOf(right, key))) return false;
  return true;
}

/** True when running tasks of one spec are as good as tasks of the other. */
export function isSameForTasks(left: ServiceSpec, right: ServiceSpec): boolean {
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) {
    if (!UNFOLLOWED.has(key) && !isSame(fieldOf(left, key), fieldOf(right, key))) return false;
  }
  return true;
}

function fieldOf(value: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}

import { resolveBinding } from './exposure.js';
import type { BindingSpec, TaskRow } from './rows.js';
import type { Tables } from './tables.js';
import { isOnNode, rowsOf, stateRank, versionKey } from './tables.js';

/** A binding with the version that it stands for now. */
export interface ResolvedBinding {
  readonly binding: BindingSpec;
  /** 0: there is none. */
  readonly version: number;
  /** Why there is none; else empty. */
  readonly reason: string;
}

/** A task as its node has to know it. */
export interface AssignedTask {
  readonly task: TaskRow;
  /** Empty for a task that gets nothing: it has ended, or is told to. */
  readonly bindings: readonly ResolvedBinding[];
  /** Why a required secret cannot be delivered: the task must be REJECTED; else empty. */
  readonly undeliverable: string;
}

/** What a node may know. */
export interface NodeAssignments {
  readonly tasks: readonly AssignedTask[];
  /** Versions that its tasks need, each once, sorted by id and number. */
  readonly versions: readonly { readonly secretId: string; readonly version: number }[];
}

/**
 * What committed state says a node must hold: its tasks from ASSIGNED on, ended ones until they are
 * deleted (their state says so), sorted by id. Versions only for tasks from ASSIGNED to RUNNING
 * that should run; none for a task with an undeliverable secret, which never starts.
 */
export function assignmentsOf(tables: Tables, nodeId: string): NodeAssignments {
  const tasks = rowsOf(tables.tasks, tables.indexes.tasksByNode.keys(nodeId))
    .filter((task) => stateRank(task.state) >= stateRank('ASSIGNED'))
    .sort((left, right) => (left.id < right.id ? -1 : 1))
    .map((task) => assignTask(tables, task));
  const versions = new Map<string, { secretId: string; version: number }>();
  for (const task of tasks) {
    if (task.undeliverable !== '') continue;
    for (const { binding, version } of task.bindings) {
      if (version === 0) continue;
      const { secretId } = binding;
      versions.set(versionKey(secretId, version), { secretId, version });
    }
  }
  return { tasks, versions: [...versions.values()].sort(byIdAndVersion) };
}

function byIdAndVersion(
  left: { readonly secretId: string; readonly version: number },
  right: { readonly secretId: string; readonly version: number },
): number {
  if (left.secretId !== right.secretId) return left.secretId < right.secretId ? -1 : 1;
  return left.version - right.version;
}

function assignTask(tables: Tables, task: TaskRow): AssignedTask {
  if (!isOnNode(task.state) || task.desiredState !== 'RUNNING') {
    return { task, bindings: [], undeliverable: '' };
  }
  const bindings = task.spec.bindings.map((binding): ResolvedBinding => {
    const resolved = resolveBinding(tables, binding);
    return resolved.ok
      ? { binding, version: resolved.version, reason: '' }
      : { binding, version: 0, reason: resolved.reason };
  });
  const missing = bindings.find(({ binding, version }) => version === 0 && !binding.isOptional);
  return { task, bindings, undeliverable: missing?.reason ?? '' };
}

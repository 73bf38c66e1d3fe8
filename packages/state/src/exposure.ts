import { limits } from '@conclave/kernel';
import type { BindingSpec, SecretRow, TaskRow } from './rows.js';
import type { Scope } from './scope.js';
import { isOnNode, rowsOf, versionKey } from './tables.js';
import type { Tables } from './tables.js';

/** What a binding stands for now: a live version, or why there is none. */
export type Resolution =
  | { readonly ok: true; readonly secret: SecretRow; readonly version: number }
  | { readonly ok: false; readonly reason: string };

/** Resolves a binding: the pinned version, or what the secret points at. */
export function resolveBinding(tables: Tables, binding: BindingSpec): Resolution {
  const secret = tables.secrets.get(binding.secretId);
  if (secret === undefined) {
    return { ok: false, reason: `secret ${binding.secretName} does not exist` };
  }
  const wanted = binding.version === 0 ? secret.currentVersion : binding.version;
  if (tables.secrets.versionInfo(secret.id, wanted)?.isDestroyed !== false) {
    return { ok: false, reason: `version ${wanted} of secret ${secret.name} was destroyed` };
  }
  return { ok: true, secret, version: wanted };
}

/** Records that the node of a task was given a right to all that the task binds. */
export function exposeTask(scope: Scope, task: TaskRow): void {
  for (const binding of task.spec.bindings) {
    const resolved = resolveBinding(scope.tables, binding);
    if (resolved.ok) expose(scope, task.nodeId, resolved);
  }
}

/** Records that the nodes whose live tasks follow a secret were given what it points at now. */
export function exposePointer(scope: Scope, secretId: string): void {
  const { tables } = scope;
  const nodes = new Map<string, BindingSpec>();
  for (const task of rowsOf(tables.tasks, tables.indexes.tasksBySecret.keys(secretId))) {
    const follows = task.spec.bindings.find(
      (binding) => binding.secretId === secretId && binding.version === 0,
    );
    const isDelivered = isOnNode(task.state) && task.desiredState === 'RUNNING';
    if (isDelivered && follows !== undefined) nodes.set(task.nodeId, follows);
  }
  // Sorted: the order of an index is not replicated, the order of these rows is.
  for (const nodeId of [...nodes.keys()].sort()) {
    const binding = nodes.get(nodeId);
    const resolved = binding === undefined ? undefined : resolveBinding(tables, binding);
    if (resolved?.ok === true) expose(scope, nodeId, resolved);
  }
}

function expose(scope: Scope, nodeId: string, resolved: Resolution & { ok: true }): void {
  const { tables, journal, command } = scope;
  const { secret, version } = resolved;
  const known = tables.exposure.get(`${nodeId}/${versionKey(secret.id, version)}`);
  journal.put(tables.exposure, {
    nodeId,
    secretId: secret.id,
    secretName: secret.name,
    version,
    firstAtMs: known?.firstAtMs ?? command.atMs,
    lastAtMs: command.atMs,
  });
  if (tables.exposure.size <= limits.EXPOSURE_COUNT_MAX) return;
  const oldest = tables.exposure.takeOldestKey();
  if (oldest !== undefined) journal.remove(tables.exposure, oldest);
}

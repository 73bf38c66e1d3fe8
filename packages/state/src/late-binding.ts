import { canonicalName } from '@conclave/kernel';
import { exposeTask } from './exposure.js';
import type { SecretRow, ServiceSpec } from './rows.js';
import type { Scope } from './scope.js';
import { isOnNode } from './tables.js';
import type { Tables } from './tables.js';

/**
 * An optional binding may name a secret that does not exist. Its secret has no id until then, and
 * the index by secret has it under this key.
 */
const AWAITED = '';

/** The spec with the ids of secrets that have come into being since it was checked. */
export function bindByName(tables: Tables, spec: ServiceSpec): ServiceSpec {
  if (!spec.bindings.some(({ secretId }) => secretId === AWAITED)) return spec;
  const bindings = spec.bindings.map((binding) => {
    const secret =
      binding.secretId === AWAITED ? tables.secrets.getByName(binding.secretName) : undefined;
    return secret === undefined ? binding : { ...binding, secretId: secret.id };
  });
  return { ...spec, bindings };
}

/**
 * Binds a new secret for all who wait for its name, in the entry that creates it: from then on they
 * follow it like any other, and it cannot be removed from under them.
 */
export function bindAwaited(scope: Scope, secret: Pick<SecretRow, 'name'>): void {
  const { tables, journal, index } = scope;
  const name = canonicalName(secret.name);
  const isWaiting = (spec: ServiceSpec): boolean =>
    spec.bindings.some(
      (binding) => binding.secretId === AWAITED && canonicalName(binding.secretName) === name,
    );
  // Sorted: the order of an index is not replicated, the order of these changes is.
  for (const id of [...tables.indexes.servicesBySecret.keys(AWAITED)].sort()) {
    const row = tables.services.get(id);
    if (row === undefined || !isWaiting(row.spec)) continue;
    const spec = bindByName(tables, row.spec);
    journal.put(tables.services, { ...row, spec, objectVersion: index });
  }
  for (const id of [...tables.indexes.tasksBySecret.keys(AWAITED)].sort()) {
    const row = tables.tasks.get(id);
    if (row === undefined || !isWaiting(row.spec)) continue;
    const task = { ...row, spec: bindByName(tables, row.spec), objectVersion: index };
    journal.put(tables.tasks, task);
    if (isOnNode(task.state) && task.desiredState === 'RUNNING') exposeTask(scope, task);
  }
}

import type { BindingSpec, CommandResult, SecretRow } from './rows.js';
import { refused } from './scope.js';
import { compareNatural } from './natural.js';
import { rowsOf, specsInUse } from './tables.js';
import type { Tables } from './tables.js';

/** Users that an answer names; the count says how many there are. */
export const SECRET_USERS_NAMED_MAX = 20;

/**
 * Who binds a secret in a way that `matters`: services that are not being removed, and live tasks
 * of services that are not named already. Sorted.
 */
export function secretUsers(
  tables: Tables,
  secretId: string,
  matters: (binding: BindingSpec) => boolean,
): string[] {
  const binds = (spec: { readonly bindings: readonly BindingSpec[] }): boolean =>
    spec.bindings.some((binding) => binding.secretId === secretId && matters(binding));
  const { servicesBySecret, tasksBySecret } = tables.indexes;
  const services = rowsOf(tables.services, servicesBySecret.keys(secretId)).filter(
    (service) => !service.isRemoving && specsInUse(service).some(binds),
  );
  const named = new Set(services.map((service) => service.id));
  const tasks = rowsOf(tables.tasks, tasksBySecret.keys(secretId)).filter(
    (task) => !named.has(task.serviceId) && binds(task.spec),
  );
  return [
    ...services.map((service) => `service ${service.spec.name}`),
    ...tasks.map((task) => `task ${task.id} of ${task.serviceName}`),
  ].sort((left, right) => compareNatural(left, right) || (left < right ? -1 : 1));
}

/** The refusal that names the users; `what` says what they use. */
export function inUse(what: string, secret: SecretRow, users: readonly string[]): CommandResult {
  const named = users.slice(0, SECRET_USERS_NAMED_MAX);
  const more = users.length - named.length;
  const rest = more > 0 ? ` and ${more} more` : '';
  return refused('CV_SECRET_IN_USE', `${what} is used by ${named.join(', ')}${rest}`, {
    id: secret.id,
    users: named,
    userCount: users.length,
  });
}

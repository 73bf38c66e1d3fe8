import { canonicalName } from '@conclave/kernel';
import { refuseUse } from './admins.js';
import { bindByName } from './late-binding.js';
import type { BindingSpec, CommandResult, ServiceRow, ServiceSpec } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, isStale, refused, stale } from './scope.js';
import { isSame, isSameForTasks } from './spec-equality.js';
import type { Tables } from './tables.js';

const notFound = (): CommandResult =>
  refused('CV_SERVICE_NOT_FOUND', 'no service has this name or id');

/** Creates a service; the scheduler makes its tasks. */
export function createService(scope: Scope, command: CommandOf<'service.create'>): CommandResult {
  const { tables, journal, index } = scope;
  const { id, atMs } = command;
  const spec = bindByName(tables, command.spec);
  const taken = tables.serviceByName(spec.name);
  if (taken !== undefined) {
    const why = taken.isRemoving ? 'is still being removed' : 'exists';
    return refused('CV_NAME_TAKEN', `a service with this name ${why}`, { id: taken.id });
  }
  if (tables.services.has(id)) {
    return refused('CV_ARGUMENT_INVALID', 'id: a service with this id exists', { field: 'id' });
  }
  const refusal = refuseBindings(tables, spec.bindings, []) ?? refuseUse(scope, spec.bindings);
  if (refusal !== undefined) return refusal;
  journal.put(tables.services, {
    id,
    spec,
    previousSpec: undefined,
    specVersion: 1,
    updateState: '',
    updateMessage: '',
    isRemoving: false,
    createdAtMs: atMs,
    updatedAtMs: atMs,
    objectVersion: index,
  });
  return done(scope, { id, specVersion: 1 });
}

/** Why bindings cannot be: unknown secrets or versions, names of others, a target twice. */
function refuseBindings(
  tables: Tables,
  bindings: readonly BindingSpec[],
  known: readonly BindingSpec[],
): CommandResult | undefined {
  const targets = new Set<string>();
  for (const [place, binding] of bindings.entries()) {
    const field = `bindings[${place}]`;
    const secret = tables.secrets.get(binding.secretId);
    const isAwaited = binding.secretId === '' && binding.isOptional && binding.version === 0;
    if (secret === undefined && !isAwaited) {
      return refused('CV_SECRET_NOT_FOUND', `${field}: no secret has this id`, { field });
    }
    if (secret !== undefined && canonicalName(secret.name) !== canonicalName(binding.secretName)) {
      const message = `${field}: the secret with this id has another name`;
      return refused('CV_ARGUMENT_INVALID', message, { field });
    }
    if (targets.has(binding.target)) {
      return refused('CV_ARGUMENT_INVALID', `${field}: another binding has this target`, { field });
    }
    targets.add(binding.target);
    // A pin that was there before stays allowed: what it names may have been destroyed by force.
    const isKnown = known.some(
      (old) => old.secretId === binding.secretId && old.version === binding.version,
    );
    if (binding.version === 0 || isKnown) continue;
    if (tables.secrets.versionInfo(binding.secretId, binding.version)?.isDestroyed !== false) {
      return refused('CV_VERSION_NOT_FOUND', `${field}: the secret has no such live version`, {
        field,
      });
    }
  }
  return undefined;
}

/** Replaces the spec; tasks must follow when more than the number of replicas changed. */
export function updateService(scope: Scope, command: CommandOf<'service.update'>): CommandResult {
  const { tables, journal, index } = scope;
  const { atMs } = command;
  const spec = bindByName(tables, command.spec);
  const row = tables.services.get(command.id);
  if (row === undefined) return notFound();
  const refusal = refuseUpdate(tables, row, { ...command, spec });
  if (refusal !== undefined) return refusal;
  const { id } = row;
  if (isSame(row.spec, spec)) {
    return done(scope, { id, specVersion: row.specVersion, unchanged: true });
  }
  const isFollowed = !isSameForTasks(row.spec, spec);
  // More or fewer of the same tasks put no secret into other hands.
  const forbidden = isFollowed ? refuseUse(scope, spec.bindings) : undefined;
  if (forbidden !== undefined) return forbidden;
  const specVersion = row.specVersion + (isFollowed ? 1 : 0);
  const update = { previousSpec: row.spec, updateState: 'updating', updateMessage: '' } as const;
  journal.put(tables.services, {
    ...row,
    ...(isFollowed ? update : {}),
    spec,
    specVersion,
    updatedAtMs: atMs,
    objectVersion: index,
  });
  return done(scope, { id, specVersion, unchanged: false });
}

function refuseUpdate(
  tables: Tables,
  row: ServiceRow,
  command: { readonly spec: ServiceSpec; readonly objectVersion: number },
): CommandResult | undefined {
  const { spec } = command;
  if (row.isRemoving) return refused('CV_SERVICE_NOT_FOUND', 'the service is being removed');
  if (isStale(command.objectVersion, row.objectVersion)) {
    return stale('the service', row.objectVersion);
  }
  for (const field of ['name', 'mode'] as const) {
    if (spec[field] !== row.spec[field]) {
      return refused('CV_ARGUMENT_INVALID', `${field}: cannot change`, { field });
    }
  }
  return refuseBindings(tables, spec.bindings, row.spec.bindings);
}

/** Notes how the update of a service goes; only about the spec it has now. */
export function setUpdateState(
  scope: Scope,
  command: CommandOf<'service.update-state'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.services.get(command.id);
  if (row === undefined) return notFound();
  if (command.specVersion !== row.specVersion) return stale('the service', row.objectVersion);
  const { id } = row;
  const isKnown = row.updateState === command.state && row.updateMessage === command.message;
  if (isKnown) return done(scope, { id, unchanged: true });
  journal.put(tables.services, {
    ...row,
    updateState: command.state,
    updateMessage: command.message,
    updatedAtMs: command.atMs,
    objectVersion: index,
  });
  return done(scope, { id, unchanged: false });
}

/**
 * Gives a service the spec before its update, in the number that is wanted now. Never refused for
 * what that spec binds: the update is paused then, and says why.
 */
export function rollbackService(
  scope: Scope,
  command: CommandOf<'service.rollback'>,
): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.services.get(command.id);
  if (row === undefined) return notFound();
  if (command.specVersion !== row.specVersion || row.previousSpec === undefined) {
    return stale('the service', row.objectVersion);
  }
  const { id } = row;
  const { reason, atMs: updatedAtMs } = command;
  const spec = bindByName(tables, { ...row.previousSpec, replicas: row.spec.replicas });
  const refusal = refuseBindings(tables, spec.bindings, row.spec.bindings);
  if (refusal?.ok === false) {
    const updateMessage = `paused: cannot roll back: ${refusal.code}; ${reason}`;
    const paused = { updateState: 'paused', updateMessage, updatedAtMs } as const;
    journal.put(tables.services, { ...row, ...paused, objectVersion: index });
    return done(scope, { id, rolledBack: false });
  }
  journal.put(tables.services, {
    ...row,
    spec,
    previousSpec: row.spec,
    specVersion: row.specVersion + 1,
    updateState: 'rolled-back',
    updateMessage: `rolled back: ${reason}`,
    updatedAtMs,
    objectVersion: index,
  });
  return done(scope, { id, rolledBack: true });
}

/** Marks a service for removal; the row goes now when it has no task, else with its last one. */
export function removeService(scope: Scope, command: CommandOf<'service.remove'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.services.get(command.id);
  if (row === undefined) return notFound();
  const { id } = row;
  if (row.isRemoving) return done(scope, { id, unchanged: true });
  journal.put(tables.services, {
    ...row,
    isRemoving: true,
    updatedAtMs: command.atMs,
    objectVersion: index,
  });
  removeServiceWithoutTasks(scope, id);
  return done(scope, { id, unchanged: false });
}

/** Takes away a service that is being removed once it has no task. */
export function removeServiceWithoutTasks(scope: Scope, serviceId: string): void {
  const { tables, journal } = scope;
  const row = tables.services.get(serviceId);
  if (row?.isRemoving !== true) return;
  if (tables.indexes.tasksByService.count(serviceId) === 0)
    journal.remove(tables.services, serviceId);
}

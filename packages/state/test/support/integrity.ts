import { expect } from '@jest/globals';
import { desiredAssignments, isEnded, isOnNode } from '../../src/index.js';
import type { ChangeBatch, State } from '../../src/index.js';

const ids = (rows: Iterable<{ readonly id: string }>): string[] =>
  [...rows].map((row) => row.id).sort();

/** Every row that watchers hear of, by kind and id. */
export function watchedRows(state: State): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  const cluster = state.cluster();
  if (cluster !== undefined) rows.set(`cluster ${cluster.id}`, cluster);
  for (const row of state.secrets()) {
    rows.set(`secret ${row.id}`, row);
    for (const version of state.secretVersions(row.id)) {
      rows.set(`version ${row.id}@${version.version}`, version);
    }
  }
  for (const row of state.services()) rows.set(`service ${row.id}`, row);
  for (const row of state.nodes()) rows.set(`node ${row.id}`, row);
  for (const row of state.tokens()) rows.set(`token ${row.id}`, row);
  for (const row of state.admins()) rows.set(`admin ${row.id}`, row);
  for (const row of state.tasks()) {
    rows.set(`task ${row.id}`, row);
    for (const receipt of state.receiptsOfTask(row.id)) {
      rows.set(`receipt ${row.id}/${receipt.target}`, receipt);
    }
  }
  return rows;
}

/** What a watcher knows that heard the batches; checks that each begins where the last ended. */
export function replayed(batches: readonly ChangeBatch[]): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  for (const { changes } of batches) {
    for (const { kind, id, action, before, after } of changes) {
      const key = `${kind} ${id}`;
      expect(before).toEqual(rows.get(key));
      expect(action).toBe(
        before === undefined ? 'created' : after === undefined ? 'removed' : 'updated',
      );
      if (after === undefined) rows.delete(key);
      else rows.set(key, after);
    }
  }
  return rows;
}

/** What must hold of every state: indexes find what a full walk finds, references lead somewhere. */
export function checkIntegrity(state: State): void {
  const tasks = [...state.tasks()];
  const nodes = [...state.nodes()];
  const services = state.services();
  const secrets = [...state.secrets()];
  const names = secrets.map((row) => row.name.toLowerCase());
  expect(new Set(names).size).toBe(names.length);
  for (const { id, name, currentVersion, latestVersion } of secrets) {
    expect(state.secretByName(name.toUpperCase())?.id).toBe(id);
    const versions = state.secretVersions(id).map((row) => row.version);
    expect(versions).toContain(currentVersion);
    expect(Math.max(...versions)).toBe(latestVersion);
    const binds = (spec: (typeof tasks)[number]['spec']): boolean =>
      spec.bindings.some((binding) => binding.secretId === id);
    expect(ids(state.servicesUsingSecret(id))).toEqual(
      ids(services.filter((row) => binds(row.spec))),
    );
    expect(ids(state.tasksUsingSecret(id))).toEqual(
      ids(tasks.filter((row) => binds(row.spec) && !isEnded(row.state))),
    );
  }
  for (const { id, isRemoving } of services) {
    const own = tasks.filter((row) => row.serviceId === id);
    expect(ids(state.tasksOfService(id))).toEqual(ids(own));
    if (isRemoving) expect(own.length).toBeGreaterThan(0);
  }
  for (const { id, certificate, hostname, manager } of nodes) {
    expect(ids(state.tasksOfNode(id))).toEqual(ids(tasks.filter((row) => row.nodeId === id)));
    expect(state.nodeBySerial(certificate.serial)?.id).toBe(id);
    expect(ids(state.nodeByHostname(hostname))).toContain(id);
    if (manager === undefined) continue;
    expect(state.nodeByRaftId(manager.raftId)?.id).toBe(id);
    expect(state.isRetiredRaftId(manager.raftId)).toBe(true);
  }
  for (const row of state.admins()) expect(state.adminByName(row.name.toUpperCase())).toBe(row);
  for (const task of tasks) {
    expect(state.serviceById(task.serviceId)).toBeDefined();
    if (isOnNode(task.state)) expect(state.nodeById(task.nodeId)).toBeDefined();
  }
  for (const { id } of nodes) checkExposure(state, id);
}

/** No node may hold what is not on record as given to it. */
function checkExposure(state: State, nodeId: string): void {
  const key = (row: { readonly secretId: string; readonly version: number }): string =>
    `${row.secretId}@${row.version}`;
  const onRecord = new Set(state.exposureOfNode(nodeId).map(key));
  for (const version of desiredAssignments(state, nodeId).versions) {
    expect(onRecord).toContain(key(version));
  }
}

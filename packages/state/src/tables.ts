import type {
  AdminRow,
  ClusterRow,
  ExposureRow,
  NodeRow,
  ReceiptRow,
  RequestRow,
  ServiceRow,
  TaskRow,
  TaskState,
  TokenRow,
} from './rows.js';
import { TASK_STATES } from './rows.js';
import { SecretStore } from './secret-store.js';
import { GroupIndex, NameIndex, Table } from './table.js';

/** A Raft id that a manager had, so that no other gets it. */
export interface RaftIdRow {
  readonly raftId: number;
  readonly nodeId: string;
  /** Log index with which the node became a manager. */
  readonly sinceIndex: number;
}

/** A node that was removed, so that managers can tell it so for certain. */
export interface RemovedNodeRow {
  readonly nodeId: string;
  /** Log index of the removal. */
  readonly index: number;
}

const STATE_RANKS: Readonly<Record<string, number>> = Object.fromEntries(
  TASK_STATES.map((state, rank) => [state, rank]),
);

/** Place of a task state in its order, from 0. */
export function stateRank(state: TaskState): number {
  return STATE_RANKS[state] ?? -1;
}

/** True for the states that a task never leaves. */
export function isEnded(state: TaskState): boolean {
  return stateRank(state) > stateRank('RUNNING');
}

/** True from ASSIGNED to RUNNING: the task's node has to do with it. */
export function isOnNode(state: TaskState): boolean {
  return !isEnded(state) && stateRank(state) >= stateRank('ASSIGNED');
}

/** Names a version in changes and keys. */
export function versionKey(secretId: string, version: number): string {
  return `${secretId}@${version}`;
}

/** Ids of the secrets that specs bind, each once. */
export function boundSecrets(...specs: readonly ServiceRow['spec'][]): readonly string[] {
  return [...new Set(specs.flatMap((spec) => spec.bindings.map((binding) => binding.secretId)))];
}

/** What a service asks for, and what it goes back to when its update fails. */
export function specsInUse(row: ServiceRow): readonly ServiceRow['spec'][] {
  const mayGoBack = row.updateState === 'updating' && row.spec.update.failureAction === 'rollback';
  return mayGoBack && row.previousSpec !== undefined ? [row.spec, row.previousSpec] : [row.spec];
}

function certificatesOf(
  row: Pick<NodeRow, 'certificate' | 'previousCertificate'>,
): NodeRow['certificate'][] {
  return row.previousCertificate === undefined
    ? [row.certificate]
    : [row.certificate, row.previousCertificate];
}

/** The indexes by which rows are found other than by their key. */
export class Indexes {
  readonly servicesByName: NameIndex<ServiceRow> = new NameIndex((row) => row.spec.name);
  readonly servicesBySecret: GroupIndex<ServiceRow> = new GroupIndex((row) =>
    boundSecrets(...specsInUse(row)),
  );
  readonly tasksByService: GroupIndex<TaskRow> = new GroupIndex((row) => [row.serviceId]);
  readonly tasksByNode: GroupIndex<TaskRow> = new GroupIndex((row) =>
    row.nodeId === '' ? [] : [row.nodeId],
  );
  /** Only tasks that have not ended. */
  readonly tasksBySecret: GroupIndex<TaskRow> = new GroupIndex((row) =>
    isEnded(row.state) ? [] : boundSecrets(row.spec),
  );
  readonly nodesByHostname: GroupIndex<NodeRow> = new GroupIndex((row) => [row.hostname]);
  readonly nodesBySerial: GroupIndex<NodeRow> = new GroupIndex((row) =>
    certificatesOf(row).map((certificate) => certificate.serial),
  );
  readonly nodesByPublicKey: GroupIndex<NodeRow> = new GroupIndex((row) =>
    certificatesOf(row).map((certificate) => certificate.publicKeyHash),
  );
  readonly nodesByRaftId: GroupIndex<NodeRow> = new GroupIndex((row) =>
    row.manager === undefined ? [] : [String(row.manager.raftId)],
  );
  readonly adminsByName: NameIndex<AdminRow> = new NameIndex((row) => row.name);
  readonly adminsBySerial: GroupIndex<AdminRow> = new GroupIndex((row) =>
    certificatesOf(row).map((certificate) => certificate.serial),
  );
  readonly adminsByPublicKey: GroupIndex<AdminRow> = new GroupIndex((row) =>
    certificatesOf(row).map((certificate) => certificate.publicKeyHash),
  );
  readonly receiptsByTask: GroupIndex<ReceiptRow> = new GroupIndex((row) => [row.taskId]);
  readonly receiptsBySecret: GroupIndex<ReceiptRow> = new GroupIndex((row) => [row.secretId]);
  readonly exposureByNode: GroupIndex<ExposureRow> = new GroupIndex((row) => [row.nodeId]);
  readonly exposureBySecret: GroupIndex<ExposureRow> = new GroupIndex((row) => [row.secretId]);
}

/** Every replicated table. */
export class Tables {
  readonly indexes: Indexes = new Indexes();
  readonly cluster: Table<ClusterRow> = new Table({
    name: 'cluster',
    keyOf: (row) => row.id,
    changeOf: (change) => ({ kind: 'cluster', ...change }),
  });
  readonly secrets: SecretStore = new SecretStore();
  readonly services: Table<ServiceRow> = new Table({
    name: 'service',
    keyOf: (row) => row.id,
    indexes: [this.indexes.servicesByName, this.indexes.servicesBySecret],
    changeOf: (change) => ({ kind: 'service', ...change }),
  });
  readonly tasks: Table<TaskRow> = new Table({
    name: 'task',
    keyOf: (row) => row.id,
    indexes: [this.indexes.tasksByService, this.indexes.tasksByNode, this.indexes.tasksBySecret],
    changeOf: (change) => ({ kind: 'task', ...change }),
  });
  readonly nodes: Table<NodeRow> = new Table({
    name: 'node',
    keyOf: (row) => row.id,
    indexes: [
      this.indexes.nodesByHostname,
      this.indexes.nodesBySerial,
      this.indexes.nodesByPublicKey,
      this.indexes.nodesByRaftId,
    ],
    changeOf: (change) => ({ kind: 'node', ...change }),
  });
  readonly raftIds: Table<RaftIdRow> = new Table({
    name: 'raft-id',
    keyOf: (row) => String(row.raftId),
  });
  readonly removedNodes: Table<RemovedNodeRow> = new Table({
    name: 'removed-node',
    keyOf: (row) => row.nodeId,
  });
  readonly tokens: Table<TokenRow> = new Table({
    name: 'token',
    keyOf: (row) => row.id,
    changeOf: (change) => ({ kind: 'token', ...change }),
  });
  readonly admins: Table<AdminRow> = new Table({
    name: 'admin',
    keyOf: (row) => row.id,
    indexes: [
      this.indexes.adminsByName,
      this.indexes.adminsBySerial,
      this.indexes.adminsByPublicKey,
    ],
    changeOf: (change) => ({ kind: 'admin', ...change }),
  });
  readonly receipts: Table<ReceiptRow> = new Table({
    name: 'receipt',
    keyOf: (row) => `${row.taskId}/${row.target}`,
    indexes: [this.indexes.receiptsByTask, this.indexes.receiptsBySecret],
    changeOf: (change) => ({ kind: 'receipt', ...change }),
  });
  readonly exposure: Table<ExposureRow> = new Table({
    name: 'exposure',
    keyOf: (row) => `${row.nodeId}/${versionKey(row.secretId, row.version)}`,
    indexes: [this.indexes.exposureByNode, this.indexes.exposureBySecret],
    isRecencyOrdered: true,
  });
  readonly requests: Table<RequestRow> = new Table({
    name: 'request',
    keyOf: (row) => row.key,
  });

  /** The one row of the cluster, once it was created. */
  clusterRow(): ClusterRow | undefined {
    for (const row of this.cluster.values()) return row;
    return undefined;
  }

  adminByName(name: string): AdminRow | undefined {
    const found = this.indexes.adminsByName.names.find(name);
    return found === undefined ? undefined : this.admins.get(found.id);
  }

  serviceByName(name: string): ServiceRow | undefined {
    const found = this.indexes.servicesByName.names.find(name);
    return found === undefined ? undefined : this.services.get(found.id);
  }
}

/** The rows behind `keys`. */
export function rowsOf<Row extends object>(table: Table<Row>, keys: Iterable<string>): Row[] {
  const rows: Row[] = [];
  for (const key of keys) {
    const row = table.get(key);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

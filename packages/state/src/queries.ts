import type { SecretVersionInfo } from './changes.js';
import type {
  CompromiseStep,
  CommandResult,
  AdminRow,
  ClusterRow,
  ExposureRow,
  NodeRow,
  ReceiptRow,
  SecretEventRow,
  SecretRow,
  SecretVersionRow,
  ServiceRow,
  TaskRow,
  TokenRow,
} from './rows.js';
import { openSteps, refuseEviction } from './compromise.js';
import { managersWithOldRecovery } from './recovery.js';
import { countOtherKeys, managersWithoutRing } from './ring.js';
import { nodesBehindRoot } from './root.js';
import type { GroupIndex, Table } from './table.js';
import { rowsOf } from './tables.js';
import type { Tables } from './tables.js';

/** How many rows there are. */
export interface StateCounts {
  readonly secrets: number;
  readonly versions: number;
  readonly services: number;
  readonly tasks: number;
  readonly nodes: number;
  readonly tokens: number;
  readonly admins: number;
  readonly receipts: number;
  readonly exposures: number;
  readonly requests: number;
}

/** A first row by one key of an index. */
function firstOf<Row extends object>(
  table: Table<Row>,
  index: GroupIndex<Row>,
  group: string,
): Row | undefined {
  return rowsOf(table, index.keys(group))[0];
}

/** Everything that can be asked of a state. Rows are immutable; lists are new arrays. */
export class Queries {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Undefined until the cluster was created. */
  cluster(): ClusterRow | undefined {
    return this.#tables.clusterRow();
  }

  secretById(id: string): SecretRow | undefined {
    return this.#tables.secrets.get(id);
  }

  /** Upper and lower case are equal. */
  secretByName(name: string): SecretRow | undefined {
    return this.#tables.secrets.getByName(name);
  }

  /** With its sealed bytes, copied; without them when destroyed. */
  secretVersion(id: string, version: number): SecretVersionRow | undefined {
    return this.#tables.secrets.version(id, version);
  }

  /** Without its sealed bytes: cheaper where those are not needed. */
  secretVersionInfo(id: string, version: number): SecretVersionInfo | undefined {
    return this.#tables.secrets.versionInfo(id, version);
  }

  /** Oldest first, without their sealed bytes; {@link secretVersion} has those of one. */
  secretVersions(id: string): SecretVersionInfo[] {
    const { secrets } = this.#tables;
    const stored = secrets.document(id)?.versions ?? [];
    return stored.map((version) => secrets.versionInfoAt(id, version));
  }

  /** Oldest first; the oldest lines go when there are too many. */
  secretHistory(id: string): readonly SecretEventRow[] {
    const { secrets } = this.#tables;
    const document = secrets.document(id);
    return document === undefined ? [] : secrets.events(id, document.history);
  }

  /**
   * Secrets whose names begin with `prefix` (in any case), in natural order of names. Writes may
   * happen while it is read: each secret comes at most once, in the row of that moment.
   */
  secrets(prefix: string = ''): Generator<SecretRow, void, undefined> {
    return this.#tables.secrets.list(prefix);
  }

  serviceById(id: string): ServiceRow | undefined {
    return this.#tables.services.get(id);
  }

  /** Upper and lower case are equal. */
  serviceByName(name: string): ServiceRow | undefined {
    return this.#tables.serviceByName(name);
  }

  /** In natural order of names; also those that are being removed. */
  services(): ServiceRow[] {
    const names = [...this.#tables.indexes.servicesByName.names.from('')];
    return rowsOf(
      this.#tables.services,
      names.map(({ id }) => id),
    );
  }

  /** Services whose spec binds the secret, also those that are being removed. */
  servicesUsingSecret(secretId: string): ServiceRow[] {
    const keys = this.#tables.indexes.servicesBySecret.keys(secretId);
    return rowsOf(this.#tables.services, keys);
  }

  taskById(id: string): TaskRow | undefined {
    return this.#tables.tasks.get(id);
  }

  /** In the order of their creation. */
  tasks(): IterableIterator<TaskRow> {
    return this.#tables.tasks.values();
  }

  tasksOfService(serviceId: string): TaskRow[] {
    return rowsOf(this.#tables.tasks, this.#tables.indexes.tasksByService.keys(serviceId));
  }

  tasksOfNode(nodeId: string): TaskRow[] {
    return rowsOf(this.#tables.tasks, this.#tables.indexes.tasksByNode.keys(nodeId));
  }

  /** Tasks that have not ended and bind the secret. */
  tasksUsingSecret(secretId: string): TaskRow[] {
    return rowsOf(this.#tables.tasks, this.#tables.indexes.tasksBySecret.keys(secretId));
  }

  nodeById(id: string): NodeRow | undefined {
    return this.#tables.nodes.get(id);
  }

  /** Hostnames need not be unique. */
  nodeByHostname(hostname: string): NodeRow[] {
    return rowsOf(this.#tables.nodes, this.#tables.indexes.nodesByHostname.keys(hostname));
  }

  nodeByRaftId(raftId: number): NodeRow | undefined {
    return firstOf(this.#tables.nodes, this.#tables.indexes.nodesByRaftId, String(raftId));
  }

  /**
   * The node whose current or previous certificate has this serial (lower-case hex). Whether the
   * previous one is still valid is for the caller to see: `previousUntilMs`.
   */
  nodeBySerial(serial: string): NodeRow | undefined {
    return firstOf(this.#tables.nodes, this.#tables.indexes.nodesBySerial, serial);
  }

  /** In the order in which they joined. */
  nodes(): IterableIterator<NodeRow> {
    return this.#tables.nodes.values();
  }

  /** What stands for the request that this idempotency key was used for, while it is remembered. */
  requestFingerprint(key: string): string | undefined {
    return this.#tables.requests.get(key)?.fingerprint;
  }

  /** True for every Raft id that a manager has or had. */
  isRetiredRaftId(raftId: number): boolean {
    return this.#tables.raftIds.has(String(raftId));
  }

  /** Log index with which the owner of a Raft id became a manager; undefined: nobody has it. */
  managerSinceIndex(raftId: number): number | undefined {
    return this.#tables.raftIds.get(String(raftId))?.sinceIndex;
  }

  /** True for a node that was removed, as long as that is on record; never for any other. */
  isRemovedNode(id: string): boolean {
    return this.#tables.removedNodes.has(id);
  }

  /** Hostnames of the managers that do not hold this generation of the key ring yet. */
  managersWithoutRing(generation: number): string[] {
    return managersWithoutRing(this.#tables, generation).map(({ hostname }) => hostname);
  }

  /** Hostnames of the managers that may still open with the recovery key before. */
  managersWithOldRecovery(): string[] {
    return managersWithOldRecovery(this.#tables).map(({ hostname }) => hostname);
  }

  /** What is left of the recovery from a compromise, in its order. */
  openCompromiseSteps(): CompromiseStep[] {
    return openSteps(this.#tables);
  }

  /** Why these nodes cannot be evicted; undefined when they can. */
  refuseEviction(rows: readonly NodeRow[]): CommandResult | undefined {
    return refuseEviction(this.#tables, rows);
  }

  /** Hostnames of the nodes that count at `atMs` and have not taken this step of the roots yet. */
  nodesBehindRoot(step: number, atMs: number): string[] {
    return nodesBehindRoot(this.#tables, step, atMs).map(({ hostname }) => hostname);
  }

  /** Live versions of secrets under another version of the key ring; walks over all secrets. */
  countOtherKeys(keyId: number): number {
    return countOtherKeys(this.#tables, keyId, Infinity);
  }

  tokenById(id: string): TokenRow | undefined {
    return this.#tables.tokens.get(id);
  }

  /** In the order of their creation. */
  tokens(): IterableIterator<TokenRow> {
    return this.#tables.tokens.values();
  }

  /** Also revoked and expired ones. */
  adminById(id: string): AdminRow | undefined {
    return this.#tables.admins.get(id);
  }

  /** Upper and lower case are equal. */
  adminByName(name: string): AdminRow | undefined {
    return this.#tables.adminByName(name);
  }

  /** In the order of their creation. */
  admins(): IterableIterator<AdminRow> {
    return this.#tables.admins.values();
  }

  receiptsOfTask(taskId: string): ReceiptRow[] {
    return rowsOf(this.#tables.receipts, this.#tables.indexes.receiptsByTask.keys(taskId));
  }

  receiptsOfSecret(secretId: string): ReceiptRow[] {
    return rowsOf(this.#tables.receipts, this.#tables.indexes.receiptsBySecret.keys(secretId));
  }

  /** Also for nodes that were removed. */
  exposureOfNode(nodeId: string): ExposureRow[] {
    return rowsOf(this.#tables.exposure, this.#tables.indexes.exposureByNode.keys(nodeId));
  }

  /** Also for secrets that were removed. */
  exposureOfSecret(secretId: string): ExposureRow[] {
    return rowsOf(this.#tables.exposure, this.#tables.indexes.exposureBySecret.keys(secretId));
  }

  counts(): StateCounts {
    const tables = this.#tables;
    return {
      secrets: tables.secrets.size,
      versions: tables.secrets.versionCount,
      services: tables.services.size,
      tasks: tables.tasks.size,
      nodes: tables.nodes.size,
      tokens: tables.tokens.size,
      admins: tables.admins.size,
      receipts: tables.receipts.size,
      exposures: tables.exposure.size,
      requests: tables.requests.size,
    };
  }
}

import { expect } from '@jest/globals';
import { LOCAL_ADMIN_ID } from '@conclave/kernel';
import { decodeCommand, encodeCommand, State } from '../../src/index.js';
import type {
  JoiningNode,
  AdminRow,
  BindingSpec,
  Command,
  CommandBody,
  CommandResult,
  NodeRow,
  ServiceSpec,
  TaskChange,
  TaskState,
  TokenRow,
} from '../../src/index.js';

export const START_MS = 1_700_000_000_000;
const ADMIN = { kind: 'admin', id: LOCAL_ADMIN_ID } as const;

/** True when both have the same bytes; comparing by `toEqual` takes long for many. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** Some bytes that stand for a value; equal seeds are equal values. */
export function valueBytes(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let offset = 0; offset < size; offset += 1) bytes[offset] = (seed * 31 + offset * 7) & 255;
  return bytes;
}

export function serviceSpec(fields: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: 'web',
    runtime: 'process',
    command: ['/bin/app'],
    image: '',
    env: {},
    workingDirectory: '',
    user: '',
    mode: 'replicated',
    replicas: 1,
    replicasPerNodeMax: 0,
    bindings: [],
    constraints: [],
    restart: { condition: 'any', delayMs: 5000, attemptsMax: 0, windowMs: 0 },
    update: { parallelism: 1, delayMs: 0, order: 'stop-first', failureAction: 'pause' },
    stopSignal: 'SIGTERM',
    stopGraceMs: 10_000,
    labels: {},
    ...fields,
  };
}

export function bindingSpec(fields: Partial<BindingSpec> & { secretId: string }): BindingSpec {
  return {
    secretName: fields.secretId.replace('id-', ''),
    version: 0,
    target: fields.secretId.replace('id-', ''),
    uid: undefined,
    gid: undefined,
    mode: 0o400,
    onChange: { kind: 'none' },
    isOptional: false,
    ...fields,
  };
}

export function nodeFields(id: string, fields: Partial<NodeRow> = {}): JoiningNode {
  return {
    id,
    hostname: `host-${id}`,
    state: 'UNKNOWN',
    stateAtMs: START_MS,
    message: '',
    availability: 'active',
    labels: {},
    platformOs: 'linux',
    daemonVersion: '0.1.0',
    executors: ['process'],
    certificate: {
      serial: `cert-${id}`,
      notAfterMs: START_MS * 2,
      publicKeyHash: `key-${id}`,
      root: 1,
      notBeforeMs: 0,
    },
    previousCertificate: undefined,
    previousUntilMs: 0,
    manager: undefined,
    sessionId: '',
    rootStep: 0,
    sessionCount: 0,
    createdAtMs: START_MS,
    ...fields,
  };
}

export function managerFields(raftId: number): NonNullable<NodeRow['manager']> {
  return {
    raftId,
    clusterAddress: `10.0.0.${raftId}:7420`,
    joinAddress: `10.0.0.${raftId}:7421`,
    staticPublicKey: valueBytes(raftId, 32),
    signingPublicKey: valueBytes(raftId + 1, 32),
    membership: 'voter',
    ringGeneration: 1,
  };
}

/** What a promoted worker says of itself. */
export function equipment(
  raftId: number,
): Omit<NonNullable<NodeRow['manager']>, 'membership' | 'ringGeneration'> {
  const { membership: _membership, ringGeneration: _generation, ...said } = managerFields(raftId);
  return said;
}

export function tokenFields(
  id: string,
  fields: Partial<TokenRow> = {},
): Omit<TokenRow, 'objectVersion'> {
  return {
    id,
    role: 'worker',
    publicKey: valueBytes(5, 32),
    expiresAtMs: START_MS * 2,
    usesLeft: 100,
    needsApproval: false,
    addressRanges: [],
    hostnamePattern: '',
    isRevoked: false,
    admittedNodes: [],
    createdAtMs: START_MS,
    createdBy: ADMIN,
    ...fields,
  };
}

export function adminFields(
  id: string,
  fields: Partial<AdminRow> = {},
): Omit<AdminRow, 'objectVersion'> {
  return {
    id,
    name: `name-${id}`,
    roles: ['operator'],
    uses: [],
    ttlMs: 1000,
    certificate: {
      serial: `cert-${id}`,
      notAfterMs: START_MS * 2,
      publicKeyHash: `key-${id}`,
      root: 1,
      notBeforeMs: 0,
    },
    previousCertificate: undefined,
    previousUntilMs: 0,
    isRevoked: false,
    createdAtMs: START_MS,
    createdBy: ADMIN,
    ...fields,
  };
}

type Base = Partial<Pick<Command, 'atMs' | 'by' | 'request'>>;

/** A state and short ways to apply commands to it; each goes through the codec first. */
export class Bench {
  readonly state: State;
  readonly log: Command[] = [];
  atMs: number = START_MS;

  constructor(state: State = new State()) {
    this.state = state;
  }

  apply(body: CommandBody, base: Base = {}): CommandResult {
    this.atMs += 1;
    const command: Command = { atMs: this.atMs, by: ADMIN, request: undefined, ...base, ...body };
    this.log.push(command);
    return this.state.apply(this.state.appliedIndex + 1, decodeCommand(encodeCommand(command)));
  }

  /** Applies a command that has to be accepted; the values of its answer. */
  ok(body: CommandBody, base: Base = {}): Record<string, string | number | boolean> {
    const result = this.apply(body, base);
    expect(result).toMatchObject({ ok: true, index: this.state.appliedIndex });
    return result.ok ? result.values : {};
  }

  /** Applies a command that has to be refused with `code`, changing nothing and telling nobody. */
  no(code: string, body: CommandBody, base: Base = {}): CommandResult & { ok: false } {
    const digest = this.state.digest();
    let batchCount = 0;
    const stop = this.state.watch(() => {
      batchCount += 1;
    });
    const result = this.apply(body, base);
    stop();
    expect(result).toMatchObject({ ok: false, code });
    expect(this.state.digest()).toBe(digest);
    expect(batchCount).toBe(0);
    if (result.ok) throw new Error('accepted');
    return result;
  }

  /** The command that sets `name` to the value of `seed`, sealed for what comes next. */
  setCommand(
    name: string,
    seed: number,
    fields: Partial<CommandBody & { kind: 'secret.set' }> = {},
  ): CommandBody & { kind: 'secret.set' } {
    const known = this.state.secretByName(name);
    return {
      kind: 'secret.set',
      newId: `id-${name}`,
      name,
      secretId: known?.id ?? `id-${name}`,
      version: (known?.latestVersion ?? 0) + 1,
      sealed: {
        keyId: this.state.cluster()?.ringKeyId ?? 1,
        wrappedDek: valueBytes(seed, 90),
        envelope: valueBytes(seed + 1, 120),
        size: 64,
      },
      digest: valueBytes(seed, 32),
      compared: { keyId: this.#keyOfCurrent(name), digest: valueBytes(seed, 32) },
      labels: {},
      description: '',
      createOnly: false,
      force: false,
      objectVersion: 0,
      ...fields,
    };
  }

  #keyOfCurrent(name: string): number {
    const known = this.state.secretByName(name);
    const versions = known === undefined ? [] : this.state.secretVersions(known.id);
    return versions.find(({ version }) => version === known?.currentVersion)?.keyId ?? 0;
  }

  set(name: string, seed: number): Record<string, string | number | boolean> {
    return this.ok(this.setCommand(name, seed));
  }

  service(name: string, fields: Partial<ServiceSpec> = {}): string {
    const id = `service-${name}`;
    this.ok({ kind: 'service.create', id, spec: serviceSpec({ name, ...fields }) });
    return id;
  }

  /** Joins a worker and makes it READY. */
  node(id: string, fields: Partial<NodeRow> = {}): void {
    const tokenId = 'token-workers';
    if (this.state.tokenById(tokenId) === undefined) {
      this.ok({ kind: 'token.create', token: tokenFields(tokenId) });
    }
    this.ok({ kind: 'node.join', tokenId, node: nodeFields(id, fields) });
    this.observe(id, 'READY');
  }

  observe(id: string, state: 'READY' | 'DOWN'): void {
    this.ok({
      kind: 'nodes.observe',
      nodes: [{ id, state, message: '', session: undefined }],
    });
  }

  schedule(...changes: TaskChange[]): Record<string, string | number | boolean> {
    return this.ok({ kind: 'tasks.schedule', changes });
  }

  /** Creates a task of a replicated service and, with a node, assigns it. */
  task(id: string, serviceId: string, nodeId?: string): void {
    const specVersion = this.state.serviceById(serviceId)?.specVersion ?? 0;
    const base = { slot: 1, nodeId: '', specVersion, notBeforeMs: 0, message: '' };
    const create: TaskChange = { kind: 'create', id, serviceId, ...base };
    const assign: TaskChange[] = nodeId === undefined ? [] : [{ kind: 'assign', id, nodeId }];
    const changes = [create, ...assign];
    expect(this.schedule(...changes)).toEqual({ applied: changes.length, skipped: 0 });
  }

  report(
    taskId: string,
    state: TaskState,
    nodeId: string = this.state.taskById(taskId)?.nodeId ?? '',
  ): Record<string, string | number | boolean> {
    const text = { message: `is ${state}`, error: '', exitCode: undefined };
    return this.ok({
      kind: 'tasks.report',
      reports: [{ nodeId, taskId, state, atMs: this.atMs, ...text }],
    });
  }
}
